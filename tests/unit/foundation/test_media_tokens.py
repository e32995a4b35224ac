import pytest

from foundation.tokens.media import MediaTokenVerdict, check, sign, split

KEYS = {"k1": b"first key", "k2": b"second key"}
NOW_S = 1_800_000_000
PREFIX = "/videos/us-east/42/"


def verdict(path: str, keys: dict[str, bytes] = KEYS, now_s: float = NOW_S) -> MediaTokenVerdict:
    return check(split(path), keys, now_s=now_s)


def signed(prefix: str = PREFIX, kid: str = "k1") -> str:
    return f"/t/{sign(prefix, expires_s=NOW_S + 60, kid=kid, keys=KEYS)}"


def test_a_token_covers_everything_under_its_prefix_and_nothing_else() -> None:
    assert verdict(signed() + PREFIX + "r1/360p.mp4") is MediaTokenVerdict.VALID
    assert verdict(signed() + PREFIX + "master.m3u8") is MediaTokenVerdict.VALID
    assert verdict(signed() + "/videos/us-east/43/master.m3u8") is MediaTokenVerdict.FORGED
    assert verdict(signed() + "/videos/us-east/421/master.m3u8") is MediaTokenVerdict.MALFORMED


def test_the_bare_path_is_the_cache_key() -> None:
    assert split(signed() + PREFIX + "master.m3u8").path == PREFIX + "master.m3u8"
    assert split(PREFIX).token == ""


def test_keys_rotate() -> None:
    old, new = signed(kid="k1"), signed(kid="k2")
    assert verdict(old + PREFIX + "x") is verdict(new + PREFIX + "x") is MediaTokenVerdict.VALID
    assert verdict(old + PREFIX + "x", keys={"k2": KEYS["k2"]}) is MediaTokenVerdict.FORGED


def test_a_token_ends_after_its_time_and_the_skew() -> None:
    assert verdict(signed() + PREFIX + "x", now_s=NOW_S + 120) is MediaTokenVerdict.VALID
    assert verdict(signed() + PREFIX + "x", now_s=NOW_S + 121) is MediaTokenVerdict.EXPIRED


@pytest.mark.parametrize("token", ["x", "k1.1", "k1.abc.3.mac", "k1.9.-1.mac", "." * 100, "k1.99999999999999.3.m"])
def test_malformed_tokens_are_told_apart(token: str) -> None:
    assert verdict(f"/t/{token}{PREFIX}x") in (MediaTokenVerdict.MALFORMED, MediaTokenVerdict.FORGED)


def test_dot_segments_cannot_leave_the_prefix() -> None:
    assert verdict(signed() + PREFIX + "../43/master.m3u8") is MediaTokenVerdict.MALFORMED


def test_no_token_is_absent() -> None:
    assert verdict(PREFIX + "x") is MediaTokenVerdict.ABSENT


def test_a_prefix_without_a_closing_slash_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="slash"):
        sign("/videos/us-east/42", expires_s=NOW_S, kid="k1", keys=KEYS)
