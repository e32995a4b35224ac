"""A new signing key: tokens of the old one go on until they expire, new ones name the new key, the JWKS has both."""

from __future__ import annotations

from pathlib import Path

import jwt
import msgspec

from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import Origin, one_server, origin_settings, running


def key_of(headers: dict[str, str]) -> str:
    return str(jwt.get_unverified_header(headers["Authorization"].split()[1])["kid"])


async def published_keys(origin: Origin) -> set[str]:
    return {key["kid"] for key in (await origin.ok("GET", "/.well-known/jwks.json"))["keys"]}


async def test_a_key_is_rotated_without_signing_anybody_out(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    first = origin_settings(tmp_path, one_server(own_database), valkey_url, object_store)
    async with running(first, workers=0) as origin:
        ada = await origin.person("ada")
        assert await published_keys(origin) == {key_of(ada.headers)}
    both = msgspec.structs.replace(
        first, jwt_key_file=tmp_path / "new-key.pem", jwt_old_key_files=(first.jwt_key_file,)
    )
    async with running(both, workers=0, migrate=False) as origin:
        await origin.ok("GET", "/api/v1/users/me", ada)
        again = await origin.person("ada")
        assert key_of(again.headers) != key_of(ada.headers)
        assert await published_keys(origin) == {key_of(ada.headers), key_of(again.headers)}
    done = msgspec.structs.replace(both, jwt_old_key_files=())
    async with running(done, workers=0, migrate=False) as origin:
        assert (await origin.call("GET", "/api/v1/users/me", ada))[0] == 401
        await origin.ok("GET", "/api/v1/users/me", again)
