"""What does one raw message of Binance's user stream say? Asked by the ccxt venue, before ccxt's own cache.

Source: executionReport of Binance's user data stream. On a cancel `c` is the cancel's own id and `C` the order's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradebot.exchange.parsing import SeenFill, SeenOrder, Unreadable, ended_as, number_of


def report_of(message: Mapping[str, Any], symbol_of: Mapping[str, str]) -> tuple[SeenOrder, str]:
    """Return the order an execution report tells of, its fill in it, and why it is in its state.

    `symbol_of` gives the unified symbol of the exchange's. Raises Unreadable; unknown fields are nothing.
    """
    symbol = symbol_of.get(_text(message, "s"))
    if symbol is None:
        raise Unreadable("a report of a symbol that is not known")
    status = ended_as(_text(message, "X"))
    if status is None:
        raise Unreadable("a report of a status that is not known")
    venue_id = _text(message, "i")
    fills = (_fill(message, symbol, venue_id),) if _text(message, "x") == "TRADE" else ()
    order = SeenOrder(
        venue_id=venue_id,
        client_id=_optional(message, "C") or _text(message, "c"),
        symbol=symbol,
        status=status,
        filled=number_of(message.get("z"), "z"),
        fills=fills,
        at_ms=_time(message),
    )
    reason = _optional(message, "eR") or _optional(message, "r")
    return order, "" if reason in {"", "NONE"} else reason


def _fill(message: Mapping[str, Any], symbol: str, venue_id: str) -> SeenFill:
    price, amount = number_of(message.get("L"), "L"), number_of(message.get("l"), "l")
    if price <= 0 or amount <= 0:
        raise Unreadable("a trade without price or amount")
    return SeenFill(
        trade_id=_text(message, "t"),
        venue_id=venue_id,
        symbol=symbol,
        price=price,
        amount=amount,
        fee=number_of(message.get("n") or 0, "n"),
        fee_asset=_optional(message, "N"),
        maker=message.get("m") is True,
        at_ms=_time(message),
    )


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return str(value)
    raise Unreadable(f"a report without {name}")


def _optional(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""


def _time(message: Mapping[str, Any]) -> int:
    value = message.get("T")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
