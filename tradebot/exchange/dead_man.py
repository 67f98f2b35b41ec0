"""What does an exchange do when it hears nothing of us for a time? Its dead man's switch, where it has one; asked at
the start and by the task that keeps it from falling.

Sources: Kraken's CancelAllOrdersAfter (less than 86 400 s, 0 ends it; 60 s, set every 15 to 30 s, is advised; ccxt
spaces its requests by seconds, which a third of the time has to exceed), OKX's cancel-all-after (10 to 120 s, or 0).
Bybit's disconnected-cancel-all waits for the loss of a private socket that has subscribed to it, and is granted by an
account manager: it tells nothing of a bot that hangs, and ccxt asks it for derivatives only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import CannotStart, ExitCode

INSTEAD: Final = (
    "set exchange.dead_man_s = 0, and let a supervisor watch over the bot: systemd's WatchdogSec, "
    "as docs/operations.md shows"
)


class DeadMan(Struct, frozen=True):
    """How an exchange's switch is set: bounds in s, what it cancels, and where its answer names the time it falls.

    `trigger` "" is an exchange whose answers are not known: any whole one is believed.
    """

    least_s: int = 5
    most_s: int = 120
    cancels: str = "all orders of the account"
    trigger: str = ""
    flaw: str = ""

    def armed(self, answer: Any) -> bool:
        """Whether an answer says that the switch is set."""
        if not isinstance(answer, Mapping):
            return False
        found: Any = answer
        for step in self.trigger.split(".") if self.trigger else ():
            if isinstance(found, list | tuple):
                found = found[int(step)] if int(step) < len(found) else None
            else:
                found = found.get(step) if isinstance(found, Mapping) else None
        return found not in (None, "", "0", 0)


_OKX: Final = DeadMan(least_s=10, most_s=120, trigger="data.0.triggerTime")
_BYBIT: Final = DeadMan(
    flaw="what it has waits for the loss of a socket, and tells nothing of a bot that hangs",
)

_KNOWN: Final[Mapping[str, DeadMan]] = {
    "kraken": DeadMan(least_s=15, most_s=3_600, trigger="result.triggerTime"),
    "okx": _OKX,
    "okxus": _OKX,
    "myokx": _OKX,
    "bybit": _BYBIT,
    "bybiteu": _BYBIT,
    "bybitid": _BYBIT,
}


def dead_man_of(exchange: Any) -> DeadMan | None:
    """Return the switch of an instance of ccxt, None where it has none."""
    if exchange.has.get("cancelAllOrdersAfter") is not True:
        return None
    return _KNOWN.get(exchange.id, DeadMan())


def required(exchange: Any, settings: Exchange) -> DeadMan | None:
    """Return the switch that the profile asks for, None where it asks for none.

    Raises CannotStart where the exchange has none that would do, with what to do instead.
    """
    seconds = settings.dead_man_s
    if not seconds:
        return None
    found = dead_man_of(exchange)
    if found is None or found.flaw:
        why = "it has none" if found is None else found.flaw
        raise CannotStart(
            f"exchange.dead_man_s: {settings.name} has no dead man's switch ({why}): {INSTEAD}", ExitCode.BAD_PROFILE
        )
    if not found.least_s <= seconds <= found.most_s:
        raise CannotStart(
            f"exchange.dead_man_s: {settings.name} takes {found.least_s} to {found.most_s} s, not {seconds}",
            ExitCode.BAD_PROFILE,
        )
    return found
