"""What has happened to the account, by us or by others? Its balances, its drift from the ledger; asked by `facts`.

Drift is what the account holds beside or less than the ledger owns: compared while no own order could explain it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from tradebot.domain.fact import Fact, Level, Stream
from tradebot.domain.numbers import EXACT, ZERO


class AccountOpened(Fact, frozen=True):
    """The ledger began with what the venue held of the quote asset."""

    event_type: ClassVar[str] = "ACCOUNT_OPENED"
    stream: ClassVar[Stream] = "events"

    asset: str
    amount: Decimal


class BalanceRefreshed(Fact, frozen=True):
    """The venue told its quote balance; `total` is free and locked together."""

    event_type: ClassVar[str] = "BUDGET_REFRESHED"
    level: ClassVar[Level] = "DEBUG"
    metric: ClassVar[str] = "budget_refreshes"

    asset: str
    total: Decimal


class BalanceRefreshFailed(Fact, frozen=True):
    """A balance request failed or timed out; the last known balance stands."""

    event_type: ClassVar[str] = "BUDGET_TIMEOUT"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "system"
    metric: ClassVar[str] = "budget_timeouts"

    cause: str


class DriftSeen(Fact, frozen=True):
    """The account holds something else than the ledger owns of an asset; `symbol` is "" for the quote.

    Less (a manual sale, a withdrawal) is a WARNING and stands until it is settled: its symbol is not bought, exits sell
    what is there. More (a deposit, another bot's) is told once and left alone.
    """

    event_type: ClassVar[str] = "DRIFT_SEEN"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "drifts_seen"

    asset: str
    symbol: str
    owned: Decimal
    found: Decimal
    generation: int = 0

    @property
    def missing(self) -> Decimal:
        """What the account lacks, negative where it holds more."""
        return EXACT.subtract(self.owned, self.found)


class DriftEnded(Fact, frozen=True):
    """A difference is one no more: it has `gone`, or an operator let it be `ignored` from here on.

    `expected` is what may be missing from here on (negative: held beside the ledger); `who` is "" where nobody asked.
    """

    event_type: ClassVar[str] = "DRIFT_ENDED"
    stream: ClassVar[Stream] = "events"

    asset: str
    symbol: str
    how: Literal["gone", "ignored"]
    expected: Decimal = ZERO
    who: str = ""
    generation: int = 0


class DriftAdopted(Fact, frozen=True):
    """The ledger follows the account by an operator's word: a booking of its own kind, no trade.

    `change` is what the ledger's quantity of the asset changes by; it leaves or enters a position at `price` (quote per
    base, an `estimate` where nobody gave one), without touching the cash. With `sell_rest` what is left is sold.
    """

    event_type: ClassVar[str] = "DRIFT_ADOPTED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "drifts_adopted"

    asset: str
    symbol: str
    change: Decimal
    price: Decimal
    estimate: bool
    who: str
    sell_rest: bool = False
    generation: int = 0


class RivalNoticed(Fact, frozen=True):
    """An order under our own name that no run of ours placed appeared while we run: another bot uses this instance.

    Nothing is bought for the rest of the run.
    """

    event_type: ClassVar[str] = "RIVAL_NOTICED"
    level: ClassVar[Level] = "ERROR"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "rivals_noticed"

    client_id: str
    run: str
    generation: int = 0
