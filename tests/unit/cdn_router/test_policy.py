import itertools

from cdn_router.policy import Kind, Pathway, Viewer, order
from cdn_router.steering import hls_manifest

US_POP = Pathway(id="pop-us", kind=Kind.POP, base_url="http://127.0.0.1:8080", region="us-east")
TOKYO_POP = Pathway(id="pop-tokyo", kind=Kind.POP, base_url="http://127.0.0.2:8080", region="ap-tokyo")
CLOUDFLARE = Pathway(id="cloudflare", kind=Kind.CDN, base_url="https://cf.example", serves=("us", "eu"))
CLOUDFRONT = Pathway(id="cloudfront", kind=Kind.CDN, base_url="https://cloudfront.example", serves=("ap",))
AKAMAI = Pathway(id="akamai", kind=Kind.CDN, base_url="https://akamai.example", tiers=("enterprise",))
FLEET = (US_POP, TOKYO_POP, CLOUDFLARE, CLOUDFRONT, AKAMAI)


def ids(viewer: Viewer, fleet: tuple[Pathway, ...] = FLEET) -> list[str]:
    return [pathway.id for pathway in order(fleet, viewer)]


def test_own_pop_in_the_viewers_region_comes_first_then_the_policys_cdn() -> None:
    assert ids(Viewer(region="us-east")) == ["pop-us", "cloudflare", "pop-tokyo", "akamai", "cloudfront"]
    assert ids(Viewer(region="ap-tokyo"))[:2] == ["pop-tokyo", "cloudfront"]


def test_europe_without_an_own_pop_goes_to_cloudflare_and_asia_to_cloudfront() -> None:
    assert ids(Viewer(region="eu-west"))[0] == "cloudflare"
    assert ids(Viewer(region="ap-sydney"))[:2] == ["pop-tokyo", "cloudfront"]


def test_enterprise_viewers_go_to_akamai_wherever_they_are() -> None:
    assert {ids(Viewer(region=region, tier="enterprise"))[0] for region in ("us-east", "ap-tokyo", "")} == {"akamai"}


def test_a_sick_pathway_falls_behind_every_healthy_one_but_is_still_named() -> None:
    sick = Pathway(id="pop-us", kind=Kind.POP, base_url="http://127.0.0.1:8080", region="us-east", healthy=False)
    assert ids(Viewer(region="us-east"), (sick, *FLEET[1:]))[-1] == "pop-us"


def test_a_switched_off_pathway_is_named_only_when_nothing_else_is_left() -> None:
    off = Pathway(id="pop-us", kind=Kind.POP, base_url="http://127.0.0.1:8080", region="us-east", enabled=False)
    assert "pop-us" not in ids(Viewer(region="us-east"), (off, TOKYO_POP))
    assert ids(Viewer(region="us-east"), (off,)) == ["pop-us"]


def test_the_order_does_not_depend_on_the_order_of_the_fleet() -> None:
    answers = {tuple(ids(Viewer(region="eu-west"), fleet)) for fleet in itertools.permutations(FLEET)}
    assert len(answers) == 1


def test_the_steering_manifest_follows_the_specification() -> None:
    manifest = hls_manifest(order(FLEET, Viewer(region="us-east")), Viewer(region="us-east"), ttl_s=300)
    assert manifest["VERSION"] == 1
    assert manifest["PATHWAY-PRIORITY"][0] == "pop-us"
    assert len(set(manifest["PATHWAY-PRIORITY"])) == len(manifest["PATHWAY-PRIORITY"])
    assert manifest["RELOAD-URI"] == "manifest.json?region=us-east"
    assert {clone["ID"] for clone in manifest["PATHWAY-CLONES"]} == {pathway.id for pathway in FLEET}


def test_a_manifest_without_any_pathway_still_has_a_priority() -> None:
    assert hls_manifest((), Viewer(), ttl_s=60)["PATHWAY-PRIORITY"] == ["."]
