"""The router beside a real control plane: the registry decides, and goes on deciding when it is gone."""

from collections.abc import AsyncIterator, Callable

import pytest

from cdn_router import service as router
from cdn_router.settings import CdnSetting, RouterSettings
from control_plane import service as control_plane
from control_plane.settings import ControlPlaneSettings
from foundation.settings import Secret
from tests.http_client import Client, client_of
from tests.polling import until

CDNS = (
    CdnSetting(id="cloudflare", base_url="https://cf.example", serves=("us", "eu")),
    CdnSetting(id="cloudfront", base_url="https://front.example", serves=("ap",)),
)


@pytest.fixture
def fresh_dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
async def registry(fresh_dsn: str) -> AsyncIterator[Client]:
    settings = ControlPlaneSettings(
        postgres_dsn=Secret(fresh_dsn),
        service_keys={"local-1": Secret("pop"), "cdn-router": Secret("router")},
        operator_keys={"ana": Secret("operator")},
    )
    async with control_plane.compose(settings) as app, client_of(app) as client:
        yield client


@pytest.fixture
async def client(registry: Client) -> AsyncIterator[Client]:
    settings = RouterSettings(
        control_plane_url=str(registry.make_url("")).rstrip("/"), service_key=Secret("router"), poll_s=0.2, cdns=CDNS
    )
    async with router.compose(settings) as app, client_of(app) as client:
        yield client


async def beat(registry: Client) -> None:
    body = {"popId": "local-1", "region": "us-east", "baseUrl": "http://127.0.0.1:8080"}
    answer = await registry.put("/internal/v1/pops/local-1", json=body, headers={"Authorization": "Bearer pop"})
    assert answer.status == 200


async def choices(client: Client, region: str) -> list[str]:
    answer = await client.get(f"/api/v1/route?region={region}")
    return [choice["id"] for choice in (await answer.json())["choices"]]


async def until_first(client: Client, region: str, wanted: str) -> None:
    async def first() -> bool:
        return (await choices(client, region))[0] == wanted

    await until(first, seconds=60)


async def test_a_registered_pop_is_chosen_where_it_is_near_and_left_when_it_drains(
    registry: Client, client: Client
) -> None:
    assert await choices(client, "us-east") == ["cloudflare", "cloudfront"]
    await beat(registry)
    await until_first(client, "us-east", "local-1")
    assert (await choices(client, "ap-tokyo"))[0] == "cloudfront"
    operator = {"Authorization": "Bearer operator"}
    await registry.put("/api/v1/pops/local-1/state", json={"state": "draining"}, headers=operator)
    await until_first(client, "us-east", "cloudflare")


async def test_routing_goes_on_with_the_registry_away(registry: Client, client: Client) -> None:
    await beat(registry)
    await until_first(client, "us-east", "local-1")
    await registry.close()
    assert (await choices(client, "us-east"))[0] == "local-1"
    assert (await client.get("/readyz")).status == 200


async def test_players_get_a_steering_manifest_they_can_reload(registry: Client, client: Client) -> None:
    answer = await client.get("/steering/v1/manifest.json?region=eu-west&_HLS_pathway=.&_HLS_throughput=500000")
    manifest = await answer.json()
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    assert manifest["PATHWAY-PRIORITY"] == ["cloudflare", "cloudfront"]
    again = await client.get(f"/steering/v1/{manifest['RELOAD-URI']}")
    assert await again.json() == manifest
    dash = await (await client.get("/steering/v1/manifest.dash.json?region=ap-tokyo")).json()
    assert dash["SERVICE-LOCATION-PRIORITY"] == ["cloudfront", "cloudflare"]


async def test_a_strange_region_is_refused(client: Client) -> None:
    answer = await client.get("/api/v1/route?region=../../etc")
    assert answer.status == 400
