"""What can a start have found? The facts of a recovery; asked through the catalogue in `facts`.

Fields with a default were added later: a journal of before them is read with it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from tradebot.domain.fact import Fact, Stream
from tradebot.domain.numbers import ZERO


class RecoveryPlanned(Fact, frozen=True):
    """What was restored, and what this start does about it before it trades.

    `orders` are asked for at the venue; those in `cancels` are cancelled if they are still open, since their wait is
    over or a cancel was asked for before. `ends` of the `intents` have no order and end now. `protected` names each
    position with its levels, `unprotected` those that no exit rule watches.
    """

    event_type: ClassVar[str] = "RECOVERY_PLANNED"
    stream: ClassVar[Stream] = "events"

    orders: tuple[str, ...]
    positions: tuple[str, ...]
    intents: int
    cancels: tuple[str, ...] = ()
    ends: int = 0
    protected: tuple[str, ...] = ()
    unprotected: tuple[str, ...] = ()


class RecoveryCompleted(Fact, frozen=True):
    """Every own order is known again and the balances are told: trading is allowed.

    `fills_adopted` happened while nobody looked; `bought` and `sold` are their worth in `quote`, fees in it included,
    `pnl` is what those that sold brought beyond what was paid for it.
    """

    event_type: ClassVar[str] = "RECOVERY_COMPLETED"
    stream: ClassVar[Stream] = "events"

    orders_open: int
    positions: int
    fills_adopted: int
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    pnl: Decimal = ZERO
    quote: str = ""
