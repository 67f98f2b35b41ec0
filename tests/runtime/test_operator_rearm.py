"""Does an operator's word rearm what the running bot has stopped, and does the status show the fences until then?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile
from tradebot.domain.events import ClockSeen, SymbolStatusSeen, VenueStateSeen
from tradebot.domain.facts import BreakerRearmed
from tradebot.engine.fences import Trouble, key_of
from tradebot.runtime.fence_views import fence_lines


def stop_buying(live: LiveBot, symbol: str) -> None:
    """Let buys of a symbol have been stopped."""
    until_ms = live.run.clock.now_ms() + 900_000
    trouble = Trouble("buy", symbol, "-2010 no", [1, 2, 3], until_ms)
    live.run.engine.state.fences.troubles[key_of("buy", symbol)] = trouble


@in_loop
async def test_what_is_stopped_is_shown_and_rearmed_by_a_word(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path)) as live:
        one, other = sorted(live.run.engine.symbols)[:2]
        assert live.operator.rearm("", who="ana").text == "nothing is stopped"
        for symbol in (one, other):
            stop_buying(live, symbol)
        stopped = live.operator.status().stopped
        assert [(each.action, each.symbol, each.failures) for each in stopped] == [("buy", one, 3), ("buy", other, 3)]
        assert live.operator.rearm("XXX/USDT", who="ana").text == "nothing is stopped of XXX/USDT"
        assert live.operator.rearm(one, who="ana").text == f"may be tried again: buy {one}"
        assert [each.symbol for each in live.operator.status().stopped] == [other]
        async with live.client() as client:
            assert (await client.rearm()).text == f"may be tried again: buy {other}"
        assert live.operator.status().stopped == ()
        assert live.run.opened.journal.flush(5)
        rearmed = [fact for _, _, fact in live.run.opened.journal.read(0) if isinstance(fact, BreakerRearmed)]
        assert [(fact.symbol, fact.who) for fact in rearmed][:1] == [(one, "ana")]


@in_loop
async def test_the_status_shows_the_venues_state_the_clock_and_halted_symbols(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path)) as live:
        now = live.run.clock.now_ms()
        symbol = min(live.run.engine.symbols)
        for event in (
            VenueStateSeen("banned", "this address is banned", now + 60_000, now),
            ClockSeen("wrong", 1_500, 1_000, now),
            SymbolStatusSeen(symbol, tradable=False, reason="BREAK", at_ms=now),
        ):
            live.run.shell.inject(event)
        status = live.operator.status()
        assert (status.venue_state.state, status.venue_state.until_ms) == ("banned", now + 60_000)
        assert (status.venue_state.clock, status.venue_state.clock_offset_ms) == ("wrong", 1_500)
        assert [(one.symbol, one.reason) for one in status.halted] == [(symbol, "BREAK")]
        assert (status.buying, status.buying_held) == (True, "the venue is banned")
        lines = fence_lines(live.run.engine.state.fences, live.run.engine.symbols, live.run.clock.now_ms())
        assert [line.split()[0] for line in lines] == ["venue", "clock", "halted"]
        async with live.client() as client:
            assert (await client.status()).venue_state == status.venue_state


@in_loop
async def test_a_journal_that_cannot_be_written_is_told_by_the_status_until_it_can(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path)) as live:
        journal = live.run.opened.journal
        assert live.operator.status().journal_failed == ""
        begun_ms = live.run.clock.now_ms()
        with closing(sqlite3.connect(journal.path, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            live.operator.pause(who="ana")
            await live.until(lambda: journal.failed is not None)
            status = live.operator.status()
            assert "cannot be written" in status.journal_failed
            await live.until(lambda: live.operator.status().journal_failed_ms > 0)
            assert begun_ms <= live.operator.status().journal_failed_ms <= live.run.clock.now_ms()
            assert (status.buying, status.buying_held) == (True, "the journal cannot be written")
            another.execute("ROLLBACK")
        await live.until(lambda: journal.failed is None)
        status = live.operator.status()
        assert (status.journal_failed, status.journal_failed_ms, status.buying_held) == ("", 0, "")
