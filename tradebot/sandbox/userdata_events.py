"""How does an account's stream say it? Asked by the audience of each account, once for each event.

Shapes of Binance's "User Data Streams"; amounts as texts of eight places, times in ms UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.orders import AccountEvent, BalanceChanged, ExecutionReport, PositionChanged

Message = dict[str, Any]


def message_of(event: AccountEvent) -> Message:
    """Return an account's event as the wire has it."""
    if isinstance(event, ExecutionReport):
        return _execution_report(event)
    if isinstance(event, PositionChanged):
        held = [{"a": asset, "f": _text(free), "l": _text(locked)} for asset, free, locked in event.balances]
        return {"e": "outboundAccountPosition", "E": event.at_ms, "u": event.at_ms, "B": held}
    return {"e": "balanceUpdate", "E": event.at_ms, "a": event.asset, "d": _text(event.delta), "T": event.at_ms}


def occasion_of(event: AccountEvent) -> Occasion:
    """Return what a fault may know the event by; the client id is the order's, also of a cancel."""
    if isinstance(event, ExecutionReport):
        client_id = event.orig_client_id or event.client_id
        return Occasion("user.executionReport", event.symbol, client_id, event.execution, "ws")
    if isinstance(event, BalanceChanged):
        return Occasion("user.balanceUpdate", via="ws")
    return Occasion("user.outboundAccountPosition", via="ws")


def terminated(now_ms: int) -> Message:
    """Return the event that ends a stream."""
    return {"e": "eventStreamTerminated", "E": now_ms}


def _execution_report(report: ExecutionReport) -> Message:
    message: Message = {
        "e": "executionReport",
        "E": report.at_ms,
        "s": report.symbol,
        "c": report.client_id,
        "S": report.side,
        "o": report.type,
        "f": report.tif,
        "q": _text(report.amount),
        "p": _text(report.price),
        "P": _text(Decimal(0)),
        "F": _text(Decimal(0)),
        "g": -1,
        "C": report.orig_client_id,
        "x": report.execution,
        "X": report.status,
        "r": "NONE",
        "i": report.order_id,
        "l": _text(report.last_amount),
        "z": _text(report.executed),
        "L": _text(report.last_price),
        "n": _text(report.fee) if report.fee_asset is not None else "0",
        "N": report.fee_asset,
        "T": report.at_ms,
        "t": report.trade_id,
        "I": report.execution_id,
        "w": report.on_book,
        "m": report.maker,
        "M": False,
        "O": report.created_ms,
        "Z": _text(report.cost),
        "Y": _text(report.last_cost),
        "Q": _text(report.quote_amount),
        "W": report.working_ms,
        "V": report.prevention,
    }
    if report.expiry:
        message["eR"] = report.expiry
    if report.prevented_match:
        message["v"] = report.prevented_match
    if report.prevented:
        message["A"] = _text(report.prevented)
        if report.execution == "TRADE_PREVENTION":
            message["B"] = _text(report.prevented)
    return message


def _text(amount: Decimal) -> str:
    return f"{amount:.8f}"
