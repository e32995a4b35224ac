import pytest

from foundation.errors import BadInput
from foundation.ids import EPOCH_MS, Snowflake, created_ms, parse_id


class Clock:
    def __init__(self) -> None:
        self.now_ms = EPOCH_MS + 1_000

    def __call__(self) -> int:
        return self.now_ms


def test_ids_rise_and_never_repeat_also_when_the_clock_steps_back() -> None:
    clock = Clock()
    make = Snowflake(node=7, clock_ms=clock)
    ids = [make.next_id() for _ in range(5000)]
    clock.now_ms -= 500
    ids += [make.next_id() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_two_nodes_never_make_the_same_id() -> None:
    clock = Clock()
    first, second = Snowflake(node=1, clock_ms=clock), Snowflake(node=2, clock_ms=clock)
    assert not {first.next_id() for _ in range(1000)} & {second.next_id() for _ in range(1000)}


def test_an_id_tells_when_it_was_made() -> None:
    clock = Clock()
    assert created_ms(Snowflake(node=0, clock_ms=clock).next_id()) == clock.now_ms


@pytest.mark.parametrize("node", [-1, 1024])
def test_a_node_out_of_range_is_refused(node: int) -> None:
    with pytest.raises(ValueError, match="node"):
        Snowflake(node=node)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "abc", "9" * 20, "٣", " 1", "9223372036854775808"])
def test_what_is_not_an_id_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_id(text)


def test_the_wire_form_comes_back() -> None:
    assert parse_id("9223372036854775807") == 2**63 - 1
