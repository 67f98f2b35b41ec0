"""How is the run going, in a few lines? Asked by the console; told by facts, read from the engine between cycles."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from tradebot.domain import facts as f
from tradebot.domain.numbers import ZERO
from tradebot.ports import Recorder
from tradebot.runtime.errorbook import ErrorBook


class Status(Struct, frozen=True):
    """The run at one moment. `age_s` is the age of the newest price, None before the first."""

    profile: str
    synthetic: bool
    quote: str
    up_s: float
    trading: bool
    positions: tuple[str, ...]
    intents: int
    orders: int
    fills: int
    trades: int
    pnl: Decimal
    cash: Decimal
    age_s: float | None
    errors: int


class StatusBook:
    """Counts what the status and the error summary show, passing every fact on."""

    def __init__(self, then: Recorder, errors: ErrorBook) -> None:
        self._then = then
        self._errors = errors
        self.fills = 0
        self.trades = 0
        self.pnl = ZERO
        self.cancelled = 0

    def record(self, facts: Sequence[f.Fact], now_ms: int, last_seq: int = 0) -> None:
        """Count `facts` and pass them on."""
        for fact in facts:
            if isinstance(fact, f.OrderFilled):
                self.fills += 1
            elif isinstance(fact, f.PositionClosed):
                self.trades += 1
                self.pnl += fact.pnl
            elif isinstance(fact, f.OrderDone) and fact.outcome == "canceled":
                self.cancelled += 1
        self._errors.add_facts(facts)
        self._then.record(facts, now_ms, last_seq)


def status_lines(status: Status) -> list[str]:
    """Return the status as a few lines of text."""
    kind = "SYNTHETIC MARKET, paper money" if status.synthetic else "paper money"
    age = "no price yet" if status.age_s is None else f"newest price {status.age_s:.1f} s old"
    state = "trading" if status.trading else "not trading yet"
    held = ", ".join(status.positions) or "none"
    sign = "+" if status.pnl > 0 else ""
    return [
        f"tradebot {status.profile} · {kind} · {state} · {_span(status.up_s)} · {age}",
        f"positions {len(status.positions)}: {held}",
        f"intents {status.intents} · orders {status.orders} · fills {status.fills} · trades {status.trades}"
        f" · errors {status.errors}",
        f"PnL {sign}{money(status.pnl)} {status.quote} · cash {money(status.cash)} {status.quote}",
    ]


def money(amount: Decimal) -> str:
    """Return an amount of quote as people read it: two decimals, thousands parted."""
    return f"{amount:,.2f}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"
