"""Which trades were made? One row a closed position, as CSV; asked by reports and replays."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Literal

from msgspec import Struct

from tradebot.domain.facts import Fact, PositionClosed
from tradebot.domain.numbers import plain
from tradebot.domain.summary import Tally

COLUMNS = (
    "symbol", "opened", "closed", "entry", "exit", "amount", "cost", "proceeds", "fees", "pnl", "reason", "generation",
)  # fmt: skip
"""Columns of a trades file: times in ISO 8601 UTC, prices in quote per base, `amount` in base, the rest in quote."""


_PRICE = Context(prec=12)
"""Digits of an average price in the file: finer than any venue's tick, and no sum is made of them."""


class Trade(Struct, frozen=True):
    """One closed position; `cost` and `proceeds` have the fees in them, `pnl` is the difference."""

    symbol: str
    opened_ms: int
    closed_ms: int
    entry: Decimal
    exit: Decimal
    amount: Decimal
    cost: Decimal
    proceeds: Decimal
    fees: Decimal
    pnl: Decimal
    reason: str
    generation: int

    def row(self) -> tuple[str, ...]:
        """Return the trade's CSV row in the order of `COLUMNS`: amounts exact, average prices in twelve digits."""
        prices = (_PRICE.create_decimal(price) for price in (self.entry, self.exit))
        money = (*prices, self.amount, self.cost, self.proceeds, self.fees, self.pnl)
        times = (iso(self.opened_ms), iso(self.closed_ms))
        return (self.symbol, *times, *map(plain, money), self.reason, str(self.generation))


class RunBook:
    """Tells a run's facts to a tally and keeps its trades; a `ports.Recorder`."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.tally = Tally()
        self.trades: list[Trade] = []

    def begin(self, at_ms: int) -> None:
        """Start the run that is reported at `at_ms`: what was told before is its opening state."""
        self.tally.begin(at_ms)
        self.trades.clear()

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        """Take facts that happened at `now_ms`, in their order."""
        add = self.tally.add
        for fact in facts:
            add(fact, now_ms)
            if type(fact) is PositionClosed:
                self.trades.append(_trade(fact, now_ms))


def _trade(fact: PositionClosed, at_ms: int) -> Trade:
    return Trade(
        symbol=fact.symbol,
        opened_ms=fact.opened_ms,
        closed_ms=at_ms,
        entry=fact.entry_price,
        exit=fact.exit_price,
        amount=fact.amount,
        cost=fact.cost,
        proceeds=fact.proceeds,
        fees=fact.fees,
        pnl=fact.pnl,
        reason=fact.reason,
        generation=fact.generation,
    )


def iso(at_ms: int, timespec: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """Return `at_ms` as ISO 8601 UTC, e.g. 2024-01-01T00:01:00.000Z."""
    seconds, rest = divmod(at_ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def to_csv(trades: Iterable[Trade]) -> str:
    """Return a header line and one line a trade."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(trade.row() for trade in trades)
    return out.getvalue()
