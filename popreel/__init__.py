"""The roof: the `popreel` command, the embedded servers and the launcher that runs everything on one machine.

`popreel up`, step by step:
1. cli.py reads the data folder and the port base, and starts (or becomes) the supervisor.
2. launcher/instance.py takes the folder's lock; launcher/ports.py checks every port.
3. embedded/ starts Postgres, three Valkeys and the object store that no external address replaces.
4. launcher/secrets.py makes missing keys and passwords; launcher/configuration.py writes one TOML per process.
5. `python -m origin.migrate` brings every shard to the current schema.
6. launcher/supervisor.py starts origin, worker, control plane, router and two PoPs and waits for each /readyz.
7. What ends is started again with growing pauses; launcher/state_file.py tells `popreel status`.
8. SIGTERM or SIGINT: PoPs first, then services, then servers.
"""
