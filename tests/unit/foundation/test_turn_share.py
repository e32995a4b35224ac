"""Long work beside everything else: a share of each turn of the loop, whatever its steps cost."""

from __future__ import annotations

import asyncio

from foundation.tasks import TurnShare


async def test_work_takes_its_share_of_a_turn_and_then_lets_others_go_on() -> None:
    now_s, order = 0.0, list[str]()
    share = TurnShare(1.0, clock=lambda: now_s)

    async def work() -> None:
        nonlocal now_s
        for cost_s in (0.4, 0.4, 0.4, 5.0, 0.4):
            now_s += cost_s
            order.append("work")
            await share.give_way()

    async def other() -> None:
        for _ in range(3):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(work(), other())
    assert order == ["work", "work", "work", "other", "work", "other", "work", "other"]
