"""Round trips that many requests share: own replies in order, own failures, and a server that comes back."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from foundation.stores.round_trips import RoundTrips
from popreel.embedded.valkey import EmbeddedValkey


async def test_callers_get_their_own_replies_and_what_waits_leaves_together(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    before = (await client.info("stats"))["total_reads_processed"]
    replies = await asyncio.gather(
        *(trips.send(("SET", f"t:{n}", n, "EX", 60), ("GET", f"t:{n}"), ("INCR", "t:all")) for n in range(200))
    )
    assert [reply[:2] for reply in replies] == [[b"OK", b"%d" % n] for n in range(200)]
    assert [reply[2] for reply in replies] == list(range(1, 201))
    after = (await client.info("stats"))["total_reads_processed"]
    assert after - before < 50  # 200 requests, a few trips
    await trips.close()
    await client.aclose()


async def test_a_command_that_fails_is_its_callers_failure_alone(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    await trips.send(("SET", "t:text", "abc"))
    good, bad, also_good = await asyncio.gather(
        trips.send(("GET", "t:text")),
        trips.send(("GET", "t:text"), ("INCR", "t:text")),
        trips.send(("STRLEN", "t:text")),
        return_exceptions=True,
    )
    assert good == [b"abc"]
    assert isinstance(bad, ResponseError)
    assert also_good == [3]
    await trips.close()
    await client.aclose()


async def test_a_caller_that_stops_waiting_disturbs_nobody(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    impatient, patient = trips.send(("SET", "t:left", 1)), trips.send(("GET", "t:left"))
    impatient.cancel()
    assert await patient == [b"1"]
    await trips.close()
    await client.aclose()


async def test_who_waits_no_longer_is_told_so_and_the_trip_goes_on(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    assert await trips.send(("SET", "t:late", 0), within_s=60) == [b"OK"]
    await client.client_pause(60_000, all=False)
    with pytest.raises(TimeoutError):
        await trips.send(("INCR", "t:late"), within_s=0.02)
    patient = trips.send(("GET", "t:late"))
    await client.client_unpause()
    assert await patient == [b"1"]
    await trips.close()
    await client.aclose()


async def test_a_trip_that_takes_too_long_fails_and_the_next_one_has_a_new_connection(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client, timeout_s=1.0)
    assert await trips.send(("SET", "t:stuck", 0)) == [b"OK"]
    await client.client_pause(60_000, all=False)
    with pytest.raises(TimeoutError):
        await trips.send(("INCR", "t:stuck"))
    await client.client_unpause()
    late = RoundTrips(client)
    assert await late.send(("EXISTS", "t:stuck")) == [1]
    await asyncio.gather(trips.close(), late.close())
    await client.aclose()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_connection_is_made_as_the_pool_says(valkey_url: str, tmp_path: Path, protocol: int) -> None:
    """Password, database and protocol, through TLS and through a socket in the file system."""
    own = _certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(own)
    front = _Front(valkey_url)
    secured = await asyncio.start_server(front, "127.0.0.1", 0, ssl=serving)
    local = await asyncio.start_unix_server(front, tmp_path / "v.sock")
    password, port = urlsplit(valkey_url).password, secured.sockets[0].getsockname()[1]
    for address in (
        f"rediss://:{password}@127.0.0.1:{port}/3?ssl_ca_certs={own}&protocol={protocol}",
        f"unix://:{password}@{tmp_path}/v.sock?db=3&protocol={protocol}",
    ):
        client = Redis.from_url(address)
        trips = RoundTrips(client)
        value = bytes(200_000)
        sent = trips.send(("SET", "t:where", value), ("GET", "t:where"), ("CLIENT", "INFO"))
        ok, got, told = await sent
        assert (ok, got) == (b"OK", value)
        assert b" db=3 " in told
        assert b" resp=%d " % protocol in told
        await trips.close()
        await client.aclose()
    await asyncio.gather(*front.calls)
    for server in (secured, local):
        server.close()
        await server.wait_closed()


async def test_more_than_may_wait_is_refused(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    sent = trips.send(*[("PING",)] * 15_000)
    with pytest.raises(BusyLoadingError):
        await trips.send(*[("PING",)] * 15_000)
    assert len(await sent) == 15_000
    await trips.close()
    await client.aclose()


async def test_it_fails_at_once_while_valkey_is_away_and_works_when_it_is_back(
    valkey_server: Callable[[str], EmbeddedValkey],
) -> None:
    server = valkey_server("trips")
    await server.start()
    await server.ready()
    client = Redis.from_url(server.endpoint)
    trips = RoundTrips(client)
    assert await trips.send(("SET", "t", 1)) == [b"OK"]
    await server.stop()
    for _ in range(2):
        with pytest.raises((RedisError, OSError)):
            await trips.send(("GET", "t"))
    await server.start()
    await server.ready()
    assert await trips.send(("GET", "t")) == [b"1"]
    await trips.close()
    await client.aclose()


def _certificate(folder: Path) -> Path:
    """For 127.0.0.1, signed by itself: key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "valkey")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "valkey.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


class _Front:
    """Hands every byte on to Valkey and back, until either side hangs up."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self.calls: list[asyncio.Task[None]] = []

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(asyncio.create_task(self._forward(reader, writer)))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_valkey, to_valkey = await asyncio.open_connection(self._there.hostname, self._there.port)
        await asyncio.gather(_pass_on(reader, to_valkey), _pass_on(from_valkey, writer))


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    except OSError:  # hung up in the middle
        pass
    finally:
        sink.close()
