"""The roof: the `popreel` command, the embedded servers and the launcher that runs everything on one machine.

`popreel up`, step by step:
1. cli.py -> commands/up.py: settings are read, the supervisor is started in the background or becomes this process.
2. launcher/run.py: the folder's lock (instance.py), what a killed run left (leftovers.py), the ports (port_check.py).
3. embedded/ starts Postgres, the Valkeys and the object store that no address of yours replaces.
4. launcher/platform.py: missing keys are made (secrets.py), one TOML per process is written (configuration.py).
5. `python -m origin.migrate` brings every shard to the current schema.
6. launcher/supervisor.py starts the centre, then the PoPs and the router, and waits for each /readyz.
7. What ends is started again with growing pauses; state_file.py tells `popreel status`.
8. SIGTERM or SIGINT: the edge first, then the centre, then the servers.

client/ is an app's side of the public API; lab/ runs whole platforms for tests and benches.
"""
