"""Who stands behind the door in its tests? A small bot in memory that keeps its word: generations, toggles, a log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradebot.config.sections.control import Control
from tradebot.control.server import Door
from tradebot.domain.facts import Level, Stream
from tradebot.domain.views import (
    ChangeView,
    ComparedView,
    ComponentView,
    Done,
    DriftAction,
    DriftView,
    DropView,
    FaultView,
    GenerationView,
    IntentView,
    OrderView,
    OutcomeView,
    PendingView,
    PositionView,
    ProbationView,
    ProfileView,
    Snapshot,
    StatusView,
    SwitchView,
)
from tradebot.ports import NotNow

BEGUN_MS = 1_790_000_000_000
DIGEST = "1a2b3c4d" * 8
OTHER_DIGEST = "99887766" * 8
LOOSER = ChangeView(
    key="budget.max_positions", old="10", new="40", origin="prod.toml:9", reload="live", looser=True, effect="at once"
)


class LittleBot:
    """Trades nothing. `draft` is what the next reload finds, `hold` keeps changes of the profile waiting.

    With the draft "waiting" an edit waits from the beginning, and with "replaced" another one as soon as it was seen.
    """

    def __init__(self, symbols: int = 2, path: str = "prod.toml", draft: str = "valid") -> None:
        self.symbols = symbols
        self.path = path
        self.profile = {"buying": True, "exits": True}
        self.overrides: dict[str, tuple[bool, str]] = {}
        self.generations = [self._generation(1, "start", "start")]
        self.draft = draft
        self.pending: PendingView | None = None
        if draft in {"waiting", "replaced"}:
            self.pending = self._pending("file", DIGEST)
        self.last: OutcomeView | None = None
        self.paused = ""
        self.flattening: tuple[str, ...] = ()
        self.stopped = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.hold: asyncio.Event | None = None
        self.working = asyncio.Event()
        self.error: Exception | None = None
        self.lock = threading.Lock()
        self.listeners: dict[int, Callable[[bytes], None]] = {}
        self.joined = 0
        self.compared: dict[str, Any] = {"compared_ms": BEGUN_MS, "fresh": True, "found": self.drift()}

    def _generation(self, number: int, cause: str, who: str) -> GenerationView:
        return GenerationView(
            number=number,
            at_ms=BEGUN_MS + number,
            cause=cause,
            who=who,
            state="good",
            in_force=True,
            previous=number - 1,
        )

    @property
    def number(self) -> int:
        return self.generations[0].number

    def _next(self, cause: str, who: str, *lines: str) -> OutcomeView:
        before = self.number
        self.generations.insert(0, self._generation(before + 1, cause, who))
        head = f"generation {before} → {before + 1} · prod.toml · applied in 14 ms"
        return OutcomeView(outcome="applied", generation=before + 1, previous=before, lines=(head, *lines))

    async def _work(self, what: str, who: str) -> None:
        self.asked.append((what, who))
        self.working.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error

    def features(self) -> Sequence[SwitchView]:
        return [
            SwitchView(
                feature=name,
                on=self.overrides.get(name, (on, ""))[0],
                profile=on,
                override=self.overrides.get(name, (on, ""))[1],
                since_ms=BEGUN_MS,
                sentence=f"Whether there is {name}.",
            )
            for name, on in self.profile.items()
        ]

    def status(self) -> StatusView:
        if self.error is not None:
            raise self.error
        profile = ProfileView(
            path=self.path,
            generation=self.number,
            since_ms=BEGUN_MS,
            cause="edit",
            who="file",
            digest="ab" * 32,
            pending=self.pending,
            last_reload=self.last,
            last_reload_ms=BEGUN_MS,
            probation=ProbationView(until_ms=BEGUN_MS + 492_000, falls_back_to=1, guards=("errors 0 < 5/min",)),
            overrides=tuple(view for view in self.features() if view.override),
        )
        return StatusView(
            at_ms=BEGUN_MS, run="r1", instance="prod", profile=profile, synthetic=True, venue="paper", quote="USDT",
            up_s=9_667.5, trading=True, buying=True, exits=True, paused=self.paused,
            flattening=self.flattening, stopping="asked" if self.stopped.is_set() else "", symbols=self.symbols,
            stale=1, warming=0, positions=1, intents=1, orders=1, unknown_orders=0, fills=7, trades=3,
            pnl=Decimal("12.40"), cash=Decimal("900.10"), held=Decimal("100.8"), errors=0, warnings=2, age_s=0.25,
            seq=48_112, session="sessions/x",
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        return Snapshot(
            status=self.status(),
            drops=tuple(self._drop(f"S{number}/USDT") for number in range(self.symbols)),
            positions=(
                PositionView(
                    symbol="S0/USDT", amount=Decimal("0.70"), entry_price=Decimal("143.3"), bid=144.0,
                    cost=Decimal(100), worth=Decimal("100.8"), gain_bps=80.0, stop=137.5, target=0.0,
                    opened_ms=BEGUN_MS, lots=1,
                ),
            ),
            intents=(
                IntentView(
                    intent_id=1, symbol="S1/USDT", side="buy", reason="drop", state="working", step=2, steps=3,
                    filled=Decimal("0.4"), age_s=0.6, generation=1,
                ),
            ),
            orders=(
                OrderView(
                    client_id="prod-r1-1", symbol="S1/USDT", side="buy", type="limit", tif="IOC", state="open",
                    price=Decimal("0.0812"), amount=Decimal(100), filled=Decimal(40), age_s=0.6, generation=1,
                ),
            ),
            features=tuple(self.features()),
            components=(ComponentView(name="metrics", state="failed", failures=2, detail="no space"),),
        )  # fmt: skip

    @staticmethod
    def _drop(symbol: str) -> DropView:
        return DropView(
            symbol=symbol, bid=1.0, ask=1.1, last=1.05, anchor=1.2, drop_bps=190.0, threshold_bps=250.0, spread_bps=3.0,
            age_s=0.4, warm_in_s=0.0, stale=False, gate="drop",
        )  # fmt: skip

    def listen(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        self.joined += 1
        number = self.joined
        with self.lock:
            self.listeners[number] = tell

        def leave() -> None:
            with self.lock:
                self.listeners.pop(number, None)

        return leave

    def tell(self, line: bytes) -> None:
        """Tell one record, as the log's thread does."""
        with self.lock:
            for tell in self.listeners.values():
                tell(line)

    @staticmethod
    def _pending(who: str, digest: str) -> PendingView:
        return PendingView(
            digest=digest,
            since_ms=BEGUN_MS,
            who=who,
            reason="loosens: budget.max_positions 10 → 40",
            changes=(LOOSER,),
            plan=(),
        )

    async def reload(self, *, confirm: bool, who: str, shown: str = "") -> OutcomeView:
        await self._work("reload", who)
        if self.draft == "replaced":
            self.pending = self._pending("file", OTHER_DIGEST)
        if confirm and self.pending is not None and self.pending.digest.startswith(shown):
            self.pending, self.draft = None, "same"
            return self._next("confirm", who, "  budget.max_positions 10 → 40")
        self.last = self._judged(who, accepted=confirm)
        return self.last or self._next("edit", who, "  drop.threshold_bps      250 → 300      from the next decision")

    def _judged(self, who: str, *, accepted: bool) -> OutcomeView | None:
        """Return what becomes of the draft, None where it is applied."""
        match self.draft:
            case "faulty":
                fault = FaultView(file="prod.toml", line=9, column=1, key="drop.treshold_bps", message="unknown key")
                lines = ("rejected · prod.toml · 1 fault", "prod.toml:9:1: drop.treshold_bps: unknown key")
                return OutcomeView(outcome="rejected", generation=self.number, lines=lines, faults=(fault,))
            case "looser" | "replaced":
                self.pending = self.pending or self._pending(who, DIGEST)
                line = "waiting · prod.toml · loosens: budget.max_positions 10 → 40 · `tradebot reload --confirm`"
                return OutcomeView(outcome="pending", generation=self.number, lines=(line,), changes=(LOOSER,))
            case "restart":
                then = "a start runs the generation in force until this is accepted: `tradebot reload --confirm`"
                refused = (
                    "refused · prod.toml · needs a restart: engine.band",
                    "  engine.band  true → false",
                    "  accepted: the next start runs it" if accepted else f"  {then}",
                )
                return OutcomeView(outcome="refused", generation=self.number, lines=refused, keys=("engine.band",))
            case "same":
                return OutcomeView(outcome="unchanged", generation=self.number, lines=("unchanged · prod.toml",))
        return None

    async def rollback(self, number: int | None, *, who: str) -> OutcomeView:
        await self._work("rollback", who)
        wanted = self.generations[0].previous if number is None else number
        if wanted not in {one.number for one in self.generations}:
            raise NotNow(f"there is no generation {wanted}")
        return self._next("rollback", who, f"back to generation {wanted}")

    async def switch(self, feature: str, on: bool | None, *, who: str) -> OutcomeView:
        await self._work(f"switch {feature} {on}", who)
        if feature not in self.profile:
            raise NotNow(f"there is no feature {feature!r}; there are {', '.join(self.profile)}")
        if on is None:
            self.overrides.pop(feature, None)
        else:
            self.overrides[feature] = (on, who)
        return self._next("feature", who, f"  features.{feature} is {on}")

    async def history(self, limit: int) -> Sequence[GenerationView]:
        await self._work("history", "")
        return self.generations[:limit]

    def pause(self, *, who: str) -> Done:
        self.asked.append(("pause", who))
        if self.paused:
            raise NotNow(f"buying is paused already, by {self.paused}")
        self.paused = who
        return Done(text="buying is paused until `tradebot resume`")

    def resume(self, *, who: str) -> Done:
        self.asked.append(("resume", who))
        if not self.paused:
            raise NotNow("buying is not paused")
        self.paused = ""
        return Done(text="buying goes on")

    def rearm(self, symbol: str, *, who: str) -> Done:
        self.asked.append(("rearm", who))
        return Done(text=f"may be tried again: buy {symbol or 'S0/USDT'}")

    def drift(self) -> Sequence[DriftView]:
        return (DriftView(asset="BTC", symbol="BTC/USDT", kind="missing", amount=Decimal("0.2"), owned=Decimal("0.5")),)

    async def compare_drift(self) -> ComparedView:
        return ComparedView(at_ms=BEGUN_MS, **self.compared)

    def settle_drift(self, what: str, action: DriftAction, price: Decimal | None, *, who: str) -> Done:
        self.asked.append((f"drift {action}", who))
        if what != "BTC/USDT":
            raise NotNow(f"the account holds what the ledger owns of {what}")
        return Done(text=f"{action} {what} at {price}")

    def flatten(self, *, who: str) -> Done:
        self.asked.append(("flatten", who))
        self.paused, self.flattening = who, ("S0/USDT",)
        return Done(text="paused, 1 position is being sold")

    def stop(self, *, who: str) -> Done:
        self.asked.append(("stop", who))
        self.stopped.set()
        return Done(text="the shutdown has begun")


class Heard:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str]] = []

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        self.records.append((level, event_type, message))

    def of(self, event_type: str) -> list[tuple[str, str]]:
        """Return level and text of every record of one type."""
        return [(level, text) for level, kind, text in self.records if kind == event_type]


@asynccontextmanager
async def served(
    folder: Path, bot: LittleBot | None = None, log: Heard | None = None, **settings: Any
) -> AsyncIterator[tuple[Door, LittleBot, Heard]]:
    """Yield an open door in `folder`, the bot behind it, and what it tells the log."""
    bot, log = bot or LittleBot(), log or Heard()
    door = Door(folder, bot, Control(**settings), log)
    await door.start()
    try:
        yield door, bot, log
    finally:
        await door.stop()
