"""Does the account hold what the ledger owns, at this moment? Asked by the operator: the engine compares once more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from tradebot.domain.events import BalancesWanted, Event
from tradebot.domain.views import ComparedView
from tradebot.engine.engine import Engine
from tradebot.ports import Clock
from tradebot.runtime.drift_views import drift_view

LONGEST_S: Final = 8.0
"""Longest wait for the account's answers; less than any client of the door waits."""

_LONGEST_LOOK_S: Final = 5.0  # a second answer that is asked for later than this is not waited for
_AFTER_MS: Final = 20  # the engine's own second question goes first


class Shell(Protocol):
    """The loop around the engine."""

    def inject(self, event: Event) -> None:
        """Process an event now."""
        ...

    async def until(self, true: Callable[[], bool]) -> None:
        """Return as soon as `true()` holds, or the loop is over."""
        ...


class Answers(Protocol):
    """What was heard of the account's balances in this run."""

    @property
    def balances_told(self) -> int:
        """How often the account told them."""
        ...

    @property
    def balances_ms(self) -> int:
        """When it last did, 0 for never."""
        ...

    @property
    def balances_failed(self) -> str:
        """Why it did not since, "" where it did."""
        ...


class Comparing:
    """Lets the engine ask for the balances until it has judged what they show."""

    def __init__(
        self,
        engine: Engine,
        shell: Shell,
        answers: Answers,
        clock: Clock,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._shell = shell
        self._answers = answers
        self._clock = clock
        self._pause = pause

    async def compared(self) -> ComparedView:
        """Compare account and ledger, and return what is known then; never raises for an account that is silent.

        What differs for the first time is asked for again after `execution.query_interval_ms`, as the engine wants it.
        """
        if not self._engine.state.trading:
            return self._view("the account is not reconciled yet")
        try:
            async with asyncio.timeout(LONGEST_S):
                why = await self._compare()
        except TimeoutError:
            why = f"the account did not answer within {LONGEST_S:g} s"
        return self._view(why)

    async def _compare(self) -> str:
        """Ask as often as it takes; return why nothing came of it, "" where something did."""
        if not await self._ask(self._clock.now_ms()):
            return self._answers.balances_failed or "the run is ending"
        if not self._unsure():
            return ""
        told, wait_ms = self._answers.balances_told, self._engine.desk.profile.execution.query_interval_ms
        if wait_ms > _LONGEST_LOOK_S * 1000:
            return f"an answer differed; a second one decides, in {wait_ms / 1000:g} s"
        await self._pause((wait_ms + _AFTER_MS) / 1000)
        if self._answers.balances_told == told and not await self._ask(self._clock.now_ms() - _AFTER_MS):
            return self._answers.balances_failed or "the run is ending"
        return ""

    async def _ask(self, since_ms: int) -> bool:
        """Return whether the account answered a question that was asked at `since_ms` or later."""
        budget, answers = self._engine.budget, self._answers
        if budget.asked and budget.asked_ms < since_ms:
            await self._shell.until(lambda: not budget.asked)
        told = answers.balances_told
        if not budget.asked:
            self._shell.inject(BalancesWanted(self._clock.now_ms()))
        await self._shell.until(lambda: not budget.asked)
        return answers.balances_told > told

    def _unsure(self) -> bool:
        """Whether the last answer may show a difference that a second one has to show, too."""
        engine, state = self._engine, self._engine.state
        drift, ledger, settled = engine.drift, state.ledger, {*state.drifts.items, *state.drifts.expected}
        owned = (symbol for symbol in (*ledger.positions, *ledger.dust) if symbol.partition("/")[0] not in settled)
        assets = {*(symbol.partition("/")[0] for symbol in engine.symbols), ledger.quote} - settled
        quote_off = ledger.quote in assets and state.venue_total != state.cash_then
        return (
            any(drift.most(symbol) is not None for symbol in owned)
            or any(drift.difference(asset) for asset in assets)
            or (quote_off and engine.desk.profile.fences.compare_quote)
        )

    def _view(self, why: str) -> ComparedView:
        return ComparedView(
            at_ms=self._clock.now_ms(),
            compared_ms=self._answers.balances_ms,
            fresh=not why,
            why=why,
            under_way=tuple(sorted(self._engine.desk.stirred)),
            found=drift_view(self._engine),
        )
