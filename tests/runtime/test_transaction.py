"""Do all parts come to the new generation together, or stay on the old one together?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from decimal import Decimal

import pytest

from tests.runtime.breakable import Breakable
from tests.runtime.live_bot import in_loop
from tests.runtime.profiles import profile
from tests.runtime.telling import Told
from tradebot.domain.market import Instrument
from tradebot.runtime.swapping import CannotBuild
from tradebot.runtime.transaction import FlipFailed, SwapFailed, Transaction

OLD, NEW = profile(), profile(exits__stop_loss_bps=40)
KEYS = ["exits.stop_loss_bps"]


class Three:
    """A transaction over three parts, of which the second breaks."""

    def __init__(self, *breaks: str, first: Collection[str] = (), limit_s: float = 5.0) -> None:
        self.diary: list[str] = []
        self.a = Breakable(self.diary, "a", breaks=first)
        self.b = Breakable(self.diary, "b", breaks=breaks)
        self.c = Breakable(self.diary, "c")
        self.told = Told()
        self.limit_s = limit_s
        self.transaction = Transaction([self.a, self.b, self.c], KEYS, OLD, NEW, self.told)

    async def staged(self) -> Transaction:
        await self.transaction.stage(self.limit_s)
        return self.transaction

    def nothing_held(self) -> bool:
        return not any(part.held for part in (self.a, self.b, self.c))

    def on(self) -> list[object]:
        return [part.on for part in (self.a, self.b, self.c)]


@in_loop
async def test_all_is_staged_before_anything_is_swapped_and_retired_after_everything_is() -> None:
    three = Three()
    transaction = await three.staged()
    transaction.swap(lambda: three.diary.append("engine"))
    await transaction.retire(1)
    steps = ["stage a", "stage b", "stage c", "commit a", "commit b", "commit c", "engine"]
    assert three.diary == [*steps, "retire a", "retire b", "retire c"]
    assert three.on() == [NEW, NEW, NEW]


@in_loop
async def test_only_parts_that_are_concerned_take_part() -> None:
    diary: list[str] = []
    parts = [Breakable(diary, "other", "drop."), Breakable(diary, "ours", "exits.")]
    transaction = Transaction(parts, KEYS, OLD, NEW, Told())
    await transaction.stage(1)
    assert diary == ["stage ours"]
    assert transaction.effects() == {"exits.stop_loss_bps": "swapped"}
    await transaction.discard(1)


@pytest.mark.parametrize("how", ["stage", "cannot:stage"])
@in_loop
async def test_a_part_that_cannot_be_built_leaves_nothing_behind(how: str) -> None:
    three = Three(how)
    with pytest.raises(CannotBuild, match="b"):
        await three.staged()
    assert three.diary == ["stage a", "stage b", "discard a"]
    assert three.nothing_held()


@in_loop
async def test_a_part_that_takes_too_long_is_named_and_leaves_nothing_behind() -> None:
    three = Three("hang:stage", limit_s=0.02)
    with pytest.raises(CannotBuild, match=r"b was not ready within 0\.02 s"):
        await three.staged()
    assert three.diary == ["stage a", "stage b", "discard a"]
    assert three.nothing_held()


@in_loop
async def test_a_time_out_of_the_part_itself_is_told_as_its_own() -> None:
    three = Three()

    async def times_out(*_: object) -> None:
        raise TimeoutError("the peer does not answer")

    three.b.stage = times_out  # type: ignore[assignment, method-assign]
    with pytest.raises(CannotBuild, match="b: TimeoutError: the peer does not answer"):
        await three.staged()


@in_loop
async def test_a_cancel_while_staging_leaves_nothing_behind() -> None:
    three = Three("hang:stage")
    task = asyncio.create_task(three.staged())
    await three.b.hanging.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert three.diary == ["stage a", "stage b", "discard a"]
    assert three.nothing_held()


@in_loop
async def test_a_commit_that_fails_flips_everything_back_in_reverse() -> None:
    three = Three("commit")
    transaction = await three.staged()
    with pytest.raises(SwapFailed, match="b breaks in commit"):
        transaction.swap(lambda: three.diary.append("engine"))
    assert three.diary[3:] == ["commit a", "commit b", "revert b", "revert a"], "the engine hears nothing"
    assert three.on() == [OLD, OLD, None]
    await transaction.discard(1)
    assert three.nothing_held()
    assert three.diary[-3:] == ["discard c", "discard b", "discard a"]


@in_loop
async def test_an_engine_that_does_not_take_it_flips_everything_back() -> None:
    three = Three()
    transaction = await three.staged()

    def refuse() -> None:
        raise ArithmeticError("a decision that cannot be made")

    with pytest.raises(SwapFailed, match="ArithmeticError: a decision that cannot be made"):
        transaction.swap(refuse)
    assert three.diary[-3:] == ["revert c", "revert b", "revert a"]
    assert three.on() == [OLD, OLD, OLD]


@in_loop
async def test_a_part_that_cannot_be_swapped_back_is_named_and_the_others_are_swapped_back_all_the_same() -> None:
    three = Three("commit", "revert")
    transaction = await three.staged()
    with pytest.raises(FlipFailed, match=r"b: .*breaks in revert \(swapped back since .*breaks in commit\)"):
        transaction.swap(lambda: None)
    assert three.on() == [OLD, NEW, None]


@in_loop
async def test_what_does_not_retire_is_told_and_undoes_nothing() -> None:
    three = Three("retire")
    transaction = await three.staged()
    transaction.swap(lambda: None)
    await transaction.retire(1)
    assert three.told.texts("COMPONENT_NOT_RETIRED") == [
        "the old b did not end cleanly: ConnectionError: b breaks in retire"
    ]
    assert three.diary[-1] == "retire c", "the rest goes on"
    assert three.on() == [NEW, NEW, NEW]


@in_loop
async def test_what_never_retires_keeps_nobody_waiting_longer_than_its_time() -> None:
    three = Three("hang:retire")
    transaction = await three.staged()
    transaction.swap(lambda: None)
    await transaction.retire(0.02)
    assert three.told.texts("COMPONENT_NOT_RETIRED") == ["the old b did not end cleanly: TimeoutError"]
    assert three.diary[-1] == "retire c", "what is left of the time is enough to ask"


@in_loop
async def test_a_flip_after_the_swap_brings_everything_back() -> None:
    three = Three()
    transaction = await three.staged()
    transaction.swap(lambda: None)
    transaction.flip(OSError("the disk is full"))
    assert three.diary[-3:] == ["revert c", "revert b", "revert a"]
    await transaction.discard(1)
    assert three.nothing_held()


@in_loop
async def test_the_symbols_watched_after_the_swap_are_those_of_the_part_that_prices_them() -> None:
    three = Three()
    assert three.transaction.instruments is None
    three.b.instruments = (Instrument("A/USDT", "A", "USDT", Decimal("0.1"), Decimal("0.1")),)
    transaction = await three.staged()
    assert transaction.instruments == three.b.instruments
    await transaction.discard(1)


@in_loop
async def test_effects_of_several_parts_are_told_together_and_once() -> None:
    diary: list[str] = []
    parts = [Breakable(diary, "a", effect="at once"), Breakable(diary, "b", effect="at once"), Breakable(diary, "c")]
    transaction = Transaction(parts, [*KEYS, "drop.threshold_bps"], OLD, NEW, Told())
    await transaction.stage(1)
    assert transaction.effects() == dict.fromkeys([*KEYS, "drop.threshold_bps"], "at once, swapped")
    await transaction.discard(1)
