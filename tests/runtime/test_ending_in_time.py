"""Is the state of a run written though what comes before it hangs? Each step of the final write has its own bound."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.runtime.live_bot import in_loop, running, write_profile
from tradebot.config.profile import Profile
from tradebot.domain.errors import ExitCode
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.ports import Clock
from tradebot.runtime.dispatch import Dispatch, StateSuspect
from tradebot.runtime.places import make_feed
from tradebot.runtime.wiring import Makers
from tradebot.storage.checkpoint import read_checkpoint

HURRIED = "[shutdown]\nwrite_deadline_s = 2\ncallback_timeout_s = 1\n"


class Clinging:
    """A feed that does not let go of its connections when it is told to end: not before it is told again."""

    synthetic = True

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self._inside = make_feed(profile, clock)

    def instruments(self) -> Sequence[Instrument]:
        return self._inside.instruments()

    async def run(self, publish: Callable[[Event], None]) -> None:
        try:
            await self._inside.run(publish)
        finally:
            await asyncio.Event().wait()


@in_loop
async def test_a_feed_that_does_not_end_keeps_no_state_from_being_written(tmp_path: Path) -> None:
    path = write_profile(tmp_path, HURRIED)
    async with running(path, Makers(feed=Clinging)) as bot:
        await bot.trades_on()
    ending = bot.run.coordinator.ending
    assert bot.code is ExitCode.CLEAN, ending.error
    assert "write: market_data timed out" in ending.stragglers
    document = read_checkpoint(bot.run.opened.home.checkpoint)
    assert document is not None
    assert document["seq"] == bot.bot.closing.seq > 0
    assert any("market_data: timed out" in str(one["message"]) for one in bot.told("SHUTDOWN_STAGE"))


@in_loop
async def test_a_history_that_somebody_holds_keeps_no_state_from_being_written(tmp_path: Path) -> None:
    path = write_profile(tmp_path, f"{HURRIED}[journal]\nretry_s = 30\n")
    async with running(path) as bot:
        await bot.trades_on()
        other = sqlite3.connect(bot.run.opened.home.profiles, isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            bot.run.coordinator.request("somebody reads")
            await bot.record("CLEANUP_CALLBACK")
        finally:
            other.close()
    ending = bot.run.coordinator.ending
    assert bot.code is ExitCode.CLEAN, ending.error
    assert "write: history timed out" in ending.stragglers
    document = read_checkpoint(bot.run.opened.home.checkpoint)
    assert document is not None
    assert document["seq"] == bot.bot.closing.seq > 0


@in_loop
async def test_a_machine_that_fails_at_the_very_end_keeps_no_fact_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Dispatch, _reason: str, _now_ms: int) -> None:
        raise StateSuspect("RequestNotSent: KeyError: 'x'")

    path = write_profile(tmp_path)
    async with running(path) as bot:
        await bot.trades_on()
        before = bot.run.opened.checkpointer.written
        monkeypatch.setattr(Dispatch, "withdraw", broken)
    ending = bot.run.coordinator.ending
    assert bot.code is ExitCode.CRASHED
    assert "RequestNotSent" in ending.error
    (persisted,) = [done for done in ending.callbacks if done.name == "state_persist"]
    assert "no checkpoint of a suspect state" in persisted.text
    assert bot.bot.closing.seq == bot.run.opened.journal.durable_seq > 0
    assert bot.run.opened.checkpointer.written == before
