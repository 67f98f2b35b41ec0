"""What does the running bot answer to a person or a program? Asked by the control door, in the loop's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from tradebot.domain.events import DriftAnswered, FlattenAsked, PauseAsked, RearmAsked, ResumeAsked
from tradebot.domain.views import (
    ComparedView,
    ComponentView,
    Done,
    DriftAction,
    DriftView,
    GenerationView,
    OutcomeView,
    Snapshot,
    StatusView,
    SwitchView,
)
from tradebot.ports import NotNow
from tradebot.runtime.applying import in_history
from tradebot.runtime.comparing import Comparing
from tradebot.runtime.drift_views import answer_of, drift_view
from tradebot.runtime.fence_views import stopped_view
from tradebot.runtime.live_profile import LiveProfile
from tradebot.runtime.request import Request
from tradebot.runtime.viewing import snapshot, status

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run


class RunOperator:
    """Answers for one run. Implements `ports.Operator`."""

    def __init__(self, run: Run, live: LiveProfile, components: Callable[[], Sequence[ComponentView]]) -> None:
        self._run = run
        self._live = live
        self._components = components

    def status(self) -> StatusView:
        """Return how the run is going."""
        return status(self._run, self._live.view(), self._run.clock.now_ms())

    def snapshot(self) -> Snapshot:
        """Return everything that is shown of the run."""
        run, live = self._run, self._live
        return snapshot(run, live.view(), live.features(), self._components(), run.clock.now_ms())

    def features(self) -> Sequence[SwitchView]:
        """Return every toggle."""
        return self._live.features()

    def listen(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        """Hand every log record from here on to `tell`; return what ends it."""
        return self._run.telling.pipeline.listen(tell)

    async def reload(self, *, confirm: bool, who: str, shown: str = "") -> OutcomeView:
        """Read the profile again; with `confirm`, what waits for it is applied, if it is the text that was `shown`."""
        return await self._ask(Request("confirm" if confirm else "edit", who, shown=shown))

    async def rollback(self, number: int | None, *, who: str) -> OutcomeView:
        """Bring an earlier generation back, files and all. Raises NotNow."""
        return await self._ask(Request("rollback", who, number=number))

    async def switch(self, feature: str, on: bool | None, *, who: str) -> OutcomeView:
        """Set a toggle over the profile, None clears what was set. Raises NotNow for an unknown one."""
        return await self._ask(Request("switch", who, feature=feature, on=on))

    async def history(self, limit: int) -> Sequence[GenerationView]:
        """Return the latest generations, newest first."""
        found = await in_history(self._run.opened.history.generations, limit)
        in_force = self._live.reloads.force.generation.number
        return [GenerationView.of(one, in_force=one.number == in_force) for one in found]

    def pause(self, *, who: str) -> Done:
        """Buy nothing until resumed. Raises NotNow."""
        paused = self._run.engine.state.paused
        if paused:
            return Done(text=f"buying is paused already, by {paused}")
        self._tell(PauseAsked(who, self._run.clock.now_ms()))
        return Done(text="buying is paused; `tradebot resume` lets it go on")

    def resume(self, *, who: str) -> Done:
        """Buy again. Raises NotNow."""
        if not self._run.engine.state.paused:
            return Done(text="buying was not paused")
        self._tell(ResumeAsked(who, self._run.clock.now_ms()))
        off = "" if self._run.loaded.profile.features.buying else ", but the toggle `buying` is off"
        return Done(text=f"buying goes on{off}")

    def rearm(self, symbol: str, *, who: str) -> Done:
        """Let stopped actions of a symbol be tried again, of every symbol where it is "". Raises NotNow."""
        stopped = stopped_view(self._run.engine.state.fences, self._run.engine.symbols)
        meant = [f"{one.action} {one.symbol}" for one in stopped if symbol in {"", one.symbol}]
        if not meant:
            return Done(text=f"nothing is stopped{f' of {symbol}' if symbol else ''}")
        self._tell(RearmAsked(symbol, who, self._run.clock.now_ms()))
        return Done(text=f"may be tried again: {', '.join(meant)}")

    def drift(self) -> Sequence[DriftView]:
        """Return where the account differs from the ledger."""
        return drift_view(self._run.engine)

    async def compare_drift(self) -> ComparedView:
        """Compare the account with the ledger now."""
        run = self._run
        return await Comparing(run.engine, run.shell, run.book, run.clock).compared()

    def settle_drift(self, what: str, action: DriftAction, price: Decimal | None, *, who: str) -> Done:
        """Let a difference of a symbol or asset be adopted, ignored or closed. Raises NotNow."""
        event, words = answer_of(self._run.engine, what, action, price, who, self._run.clock.now_ms())
        self._tell(event)
        return Done(text=words)

    def flatten(self, *, who: str) -> Done:
        """Pause, end every buy under way and sell every position. Raises NotNow."""
        held = len(self._run.engine.state.ledger.positions)
        self._tell(FlattenAsked(who, self._run.clock.now_ms()))
        return Done(text=f"buying is paused; {held} {'position is' if held == 1 else 'positions are'} being sold")

    def stop(self, *, who: str) -> Done:
        """End the run cleanly."""
        self._run.coordinator.request(f"asked by {who}")
        return Done(text="the run ends")

    async def _ask(self, request: Request) -> OutcomeView:
        return (await self._live.reloads.ask(request)).view()

    def _tell(self, event: PauseAsked | ResumeAsked | FlattenAsked | RearmAsked | DriftAnswered) -> None:
        """Let the engine hear it at once. Raises NotNow while the run ends."""
        run = self._run
        if run.coordinator.asked or run.shell.fatal is not None:
            raise NotNow("the run is ending")
        run.shell.inject(event)
        if run.shell.fatal is not None:
            raise NotNow("the run is ending")
