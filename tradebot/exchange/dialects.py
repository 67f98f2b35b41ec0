"""How does each exchange want a client id, and what does ccxt hide of it? Data; asked by requests and parsing.

The table is that of ccxt 4.5.90: the parameter that carries the client id, how an order is found by it, and the
options without which ccxt asks for what a spot account does not need. An exchange that is not here is spoken to by
ccxt's unified names, and found orders are compared by client id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct, field

Lookup = Literal["order", "filter", "scan"]
"""By client id: one query, a filtered list of open and of ended orders, or those lists compared here."""

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"


def _same(client_id: str) -> str:
    return client_id


def _gate_in(client_id: str) -> str:
    # always prefixed: ccxt leaves out the prefix of an id that begins with a t
    return f"t-{client_id}"


def _gate_out(wire: str) -> str:
    return wire.removeprefix("t-")


def _okx_in(client_id: str) -> str:
    return client_id.replace("-", "Z")


def _okx_out(wire: str) -> str:
    return wire.replace("Z", "-")


def as_hex(client_id: str) -> str:
    """Return a client id of at most 24 of `[a-z0-9-]` as 32 hexadecimal digits, the same only for the same id.

    Raises ValueError for any other id.
    """
    number = 0
    for letter in client_id:
        number = number * len(_ALPHABET) + _ALPHABET.index(letter) + 1
    if number >= 1 << 128:
        raise ValueError(f"{client_id} is too long for this exchange")
    return f"{number:032x}"


def from_hex(wire: str) -> str:
    """Return the client id that `as_hex` made `wire` of; any other text as it is."""
    try:
        number = int(wire.replace("-", ""), 16)
    except ValueError:
        return wire
    letters: list[str] = []
    while number:
        number, rest = divmod(number - 1, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))


class Dialect(Struct, frozen=True):
    """What one exchange wants. `client_id_places` and `fee_asset_place` are raw fields that ccxt does not read.

    `filled_place` is the raw field of what was filled, in base, where ccxt works it out from rounded prices.
    """

    place_param: str = "clientOrderId"
    find_param: str = "clientOrderId"
    lookup: Lookup = "scan"
    cancel_by: Literal["client_id", "wire_id", "venue_id"] = "venue_id"
    to_wire: Callable[[str], str] = _same
    from_wire: Callable[[str], str] = _same
    client_id_places: tuple[str, ...] = ()
    fee_asset_place: str = ""
    filled_place: str = ""
    code_places: tuple[str, ...] = ("code",)
    text_places: tuple[str, ...] = ("msg", "message")
    options: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    raw_reports: bool = False
    weight_headers: bool = False
    base_market_buys: bool = True
    trades_by_order: bool = True


_BINANCE_PLACES: Final = {
    # ccxt takes a socket for spot where its address holds /stream
    "api.ws.spot": "/stream/ws",
    "api.ws.margin": "/stream/ws",
    "api.ws.ws-api.spot": "/ws-api/v3",
}

DIALECTS: Final[Mapping[str, Dialect]] = {
    "binance": Dialect(
        place_param="newClientOrderId",
        find_param="origClientOrderId",
        lookup="order",
        cancel_by="client_id",
        client_id_places=("origClientOrderId",),
        options={
            "fetchMargins": False,
            "fetchOpenOrders": {"warnWithoutSymbol": False},
            "newOrderRespType": {"market": "FULL", "limit": "FULL"},
        },
        places=_BINANCE_PLACES,
        raw_reports=True,
        weight_headers=True,
    ),
    "okx": Dialect(
        lookup="order",
        cancel_by="client_id",
        to_wire=_okx_in,
        from_wire=_okx_out,
        code_places=("data.0.sCode", "code"),
        text_places=("data.0.sMsg", "msg"),
    ),
    "bybit": Dialect(
        find_param="orderLinkId",
        lookup="filter",
        cancel_by="client_id",
        fee_asset_place="feeCurrency",
        code_places=("retCode",),
        text_places=("retMsg",),
        options={"enableUnifiedMargin": False, "enableUnifiedAccount": True},
        base_market_buys=False,
    ),
    "kucoin": Dialect(lookup="order", cancel_by="client_id", options={"uta": False}),
    "gate": Dialect(
        lookup="order",
        cancel_by="wire_id",
        to_wire=_gate_in,
        from_wire=_gate_out,
        filled_place="filled_amount",
        code_places=("label",),
        options={"unifiedAccount": False},
        base_market_buys=False,
    ),
    "bitget": Dialect(
        lookup="order", cancel_by="client_id", options={"uta": False}, base_market_buys=False, trades_by_order=False
    ),
    "kraken": Dialect(
        lookup="filter",
        cancel_by="client_id",
        to_wire=as_hex,
        from_wire=from_hex,
        client_id_places=("cl_ord_id",),
        code_places=("error.0",),
        text_places=("error.0",),
    ),
    "coinbase": Dialect(
        place_param="client_order_id",
        lookup="scan",
        client_id_places=("client_order_id",),
        code_places=("error_response.error", "error"),
        text_places=("error_response.message", "message"),
        base_market_buys=False,
    ),
}

GENERAL: Final = Dialect()
"""An exchange that is not in the table."""


def dialect_of(name: str) -> Dialect:
    """Return how the exchange of ccxt's id `name` is spoken to."""
    return DIALECTS.get(name, GENERAL)
