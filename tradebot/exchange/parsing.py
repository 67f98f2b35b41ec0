"""What does an answer of ccxt say? Typed and exact, or Unreadable; asked by the venue's requests.

ccxt fills what it could not read with None and goes on: an order without an id, a fill without a price. Nothing of
that goes further than here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, get_args

from msgspec import Struct

from tradebot.domain.errors import TradebotError
from tradebot.domain.inventory import OpenOrder
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.domain.orders import Balance
from tradebot.exchange.dialects import Dialect

Status = Literal["open", "filled", "canceled", "expired", "rejected"]

ENDED: Final = frozenset(get_args(Status)) - {"open"}
_STATUS: Final[Mapping[str, Status]] = {
    "open": "open",
    "canceling": "open",
    "closed": "filled",
    "filled": "filled",
    "canceled": "canceled",
    "cancelled": "canceled",
    "expired": "expired",
    "expired_in_match": "expired",
    "rejected": "rejected",
    # what Coinbase says and ccxt hands on as it is
    "pending": "open",
    "queued": "open",
    "cancel_queued": "open",
    "edit_queued": "open",
    # how Gate says that an order finished, where ccxt hands it on as it is
    "fok": "expired",
    "poc": "expired",
    "stp": "expired",
    "small": "expired",
    "depth_not_enough": "expired",
    "trader_not_enough": "expired",
    "liquidate_cancelled": "canceled",
}


class Unreadable(TradebotError):
    """An answer does not hold what it must; what it was about is not known by it."""


class SeenFill(Struct, frozen=True):
    """One trade of an own order as the exchange tells it. `fee_asset` is whichever it was charged in, "" for no fee."""

    trade_id: str
    venue_id: str
    symbol: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at_ms: int


class SeenOrder(Struct, frozen=True):
    """An order as the exchange tells it. `status` None: it exists, and its state is not said.

    `filled` is its cumulative amount in base, `at_ms` the exchange's own time (0 where it says none).
    """

    venue_id: str
    client_id: str
    symbol: str
    status: Status | None
    filled: Decimal
    fills: tuple[SeenFill, ...]
    at_ms: int


def order_of(answer: Any, symbol: str, dialect: Dialect) -> SeenOrder:
    """Return ccxt's unified order. Raises Unreadable without an id or where a field is of another kind."""
    if not isinstance(answer, Mapping):
        raise Unreadable("the answer is no order")
    raw = answer.get("info")
    venue_id = _word(answer.get("id"), "the order's id")
    if not venue_id:
        raise Unreadable("the order has no id")
    told = raw.get(dialect.filled_place) if dialect.filled_place and isinstance(raw, Mapping) else None
    filled = number_of(told or answer.get("filled") or 0, "filled")
    amount = answer.get("amount")
    status = _status(answer.get("status"))
    if status == "filled" and amount is not None and filled < number_of(amount, "amount"):
        status = "expired"
    return SeenOrder(
        venue_id=venue_id,
        client_id=_client_id(answer, raw, dialect),
        symbol=_word(answer.get("symbol") or symbol, "symbol"),
        status=status,
        filled=filled,
        fills=tuple(fill_of(each, symbol, dialect, venue_id) for each in _rows(answer.get("trades"))),
        at_ms=_time(answer.get("lastTradeTimestamp") or answer.get("lastUpdateTimestamp") or answer.get("timestamp")),
    )


def fill_of(answer: Any, symbol: str, dialect: Dialect, venue_id: str = "") -> SeenFill:
    """Return ccxt's unified trade; a fill in the answer to its own order has taken. Raises Unreadable.

    Several fees (one an asset) are an error here: no exchange of the table charges one fill twice.
    """
    if not isinstance(answer, Mapping):
        raise Unreadable("the answer is no trade")
    trade_id = _word(answer.get("id"), "the trade's id")
    price, amount = number_of(answer.get("price"), "price"), number_of(answer.get("amount"), "amount")
    if not trade_id or price <= 0 or amount <= 0:
        raise Unreadable("the trade has no id, price or amount")
    fee, asset = _fee(answer)
    raw = answer.get("info")
    if fee and dialect.fee_asset_place and isinstance(raw, Mapping):
        asset = _word(raw.get(dialect.fee_asset_place), "the fee's asset") or asset
    return SeenFill(
        trade_id=trade_id,
        venue_id=_word(answer.get("order") or venue_id, "the trade's order"),
        symbol=_word(answer.get("symbol") or symbol, "symbol"),
        price=price,
        amount=amount,
        fee=fee,
        fee_asset=asset,
        maker=answer.get("takerOrMaker") == "maker",
        at_ms=_time(answer.get("timestamp")),
    )


def orders_of(answer: Any, symbol: str, dialect: Dialect) -> list[SeenOrder]:
    """Return a list of ccxt's unified orders. Raises Unreadable."""
    return [order_of(each, symbol, dialect) for each in _rows(answer, required=True)]


def standing_of(answer: Any, dialect: Dialect) -> list[OpenOrder]:
    """Return what a list of open orders of ccxt's shows of each. Raises Unreadable."""
    return [_standing(each, dialect) for each in _rows(answer, required=True)]


def fills_of(answer: Any, symbol: str, dialect: Dialect) -> list[SeenFill]:
    """Return a list of ccxt's unified trades. Raises Unreadable."""
    return [fill_of(each, symbol, dialect) for each in _rows(answer, required=True)]


def balances_of(answer: Any) -> dict[str, Balance]:
    """Return every balance that is not nothing, by asset, from ccxt's unified balance. Raises Unreadable."""
    if not isinstance(answer, Mapping) or not isinstance(free := answer.get("free"), Mapping):
        raise Unreadable("the answer holds no balances")
    used, total = answer.get("used") or {}, answer.get("total") or {}
    if not isinstance(used, Mapping) or not isinstance(total, Mapping):
        raise Unreadable("the answer holds no balances")
    balances: dict[str, Balance] = {}
    for asset in free:
        available = number_of(free[asset] or 0, asset)
        locked = used.get(asset)
        if locked is None and total.get(asset) is not None:
            locked = EXACT.subtract(number_of(total[asset], asset), available)
        held = Balance(available, number_of(locked or 0, asset))
        if held.free or held.locked:
            balances[asset] = held
    return balances


def number_of(value: Any, name: str) -> Decimal:
    """Return an exact number. Raises Unreadable for anything else, infinities and NaN too."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Unreadable(f"{name} is no number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Unreadable(f"{name} is no number") from None
    if not number.is_finite():
        raise Unreadable(f"{name} is no number")
    return number


def ended_as(word: str) -> Status | None:
    """Return the status that Binance's `word` means: FILLED, CANCELED, EXPIRED_IN_MATCH; None for an unknown one."""
    return "open" if word in {"NEW", "PARTIALLY_FILLED", "PENDING_NEW"} else _STATUS.get(word.lower())


def _standing(answer: Any, dialect: Dialect) -> OpenOrder:
    seen = order_of(answer, "", dialect)
    return OpenOrder(
        client_id=seen.client_id,
        symbol=seen.symbol,
        side=_word(answer.get("side"), "side"),
        price=number_of(answer.get("price") or 0, "price"),
        remaining=max(ZERO, EXACT.subtract(number_of(answer.get("amount") or 0, "amount"), seen.filled)),
    )


def _status(value: Any) -> Status | None:
    if value is None:
        return None
    known = _STATUS.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise Unreadable("the order's status is not known")
    return known


def _client_id(answer: Mapping[str, Any], raw: Any, dialect: Dialect) -> str:
    raw = raw if isinstance(raw, Mapping) else {}
    held = next((raw[place] for place in dialect.client_id_places if raw.get(place)), answer.get("clientOrderId"))
    return dialect.from_wire(held) if isinstance(held, str) else ""


def _fee(answer: Mapping[str, Any]) -> tuple[Decimal, str]:
    fee = answer.get("fee")
    rows = _rows(answer.get("fees")) or ([fee] if isinstance(fee, Mapping) else [])  # of several, `fee` is an empty one
    if not all(isinstance(each, Mapping) for each in rows):
        raise Unreadable("the trade's fees are no fees")
    fees = [each for each in rows if number_of(each.get("cost") or 0, "fee")]
    if not fees:
        return ZERO, ""
    if len(fees) > 1:
        raise Unreadable("the trade has several fees")
    return number_of(fees[0]["cost"], "fee"), _word(fees[0].get("currency"), "the fee's asset")


def _rows(value: Any, *, required: bool = False) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return value
    if value is None and not required:
        return ()
    raise Unreadable("the answer is no list")


def _word(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise Unreadable(f"{name} is no text")


def _time(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
