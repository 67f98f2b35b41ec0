"""Is a body what a typed model declares, to the field? Asked by the tests of Binance's own client.

Its models take a body with fields too many or too few without a word, so they are counted here beside the wire's body.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

ABSENT: Final = {
    "": {
        **dict.fromkeys(("preventedMatchId", "preventedQuantity", "expiryReason"), "told of an order that it befell"),
        **dict.fromkeys(("strategyId", "strategyType"), "told of an order that was sent with it"),
        **dict.fromkeys(
            (
                *("stopPrice", "icebergQty", "trailingDelta", "trailingTime", "pegPriceType", "pegOffsetType"),
                *("pegOffsetValue", "peggedPrice", "usedSor", "workingFloor", "allocationId", "tradeGroupId"),
            ),
            "told of kinds of orders that are not modelled",
        ),
        **dict.fromkeys(("priceExponent", "qtyExponent", "multiplierExponent"), "told in SBE alone"),
        **dict.fromkeys(("sors", "permissions"), "told where there are any"),
        **dict.fromkeys(
            (
                *("contingencyType", "listClientOrderId", "listOrderStatus", "listStatusType", "orderReports"),
                *("orders", "transactionTime"),
            ),
            "told of order lists",
        ),
        "count": "told of limits that count for the account, not of exchangeInfo's",
    },
    "ExecutionReport": dict.fromkeys(
        (
            *("A", "B", "Cs", "D", "J", "U", "a", "b", "d", "eR", "gOT", "gOV", "gP", "gp", "j", "k", "pL", "pY"),
            *("pl", "u", "uS", "v"),
        ),
        "the conditional fields of the document",
    ),
}
"""Fields that a model declares and Binance sends only in cases that did not arise, with the case; "" is any model."""

BEYOND: Final = {
    "": {
        "expiryReason": "documented for every order that has one; the models of new orders do not list it",
        "e": "the event's name, by which the client chose the model",
        "rateLimits": "of every answer of the ws-api: the client reads it itself, some of its models do not list it",
    },
    "OrderCancelReplaceResponseResultNewOrderResponse": dict.fromkeys(
        ("fills", "workingTime"), "of every FULL answer; the model over REST lists them"
    ),
}
"""Fields that Binance sends and a model does not declare, with the reason."""


def unlike(model: Any, body: Any, path: str = "") -> Iterator[str]:
    """Yield what a parsed model and the body it was made of do not agree on, each with its place."""
    inner = getattr(model, "actual_instance", None)
    if inner is not None:
        yield from unlike(inner, body, path)
    elif isinstance(model, BaseModel) and isinstance(body, dict):
        fields = {field.alias or name: name for name, field in type(model).model_fields.items()}
        fields.pop("additional_properties", None)
        fields.pop("additionalProperties", None)
        kind = type(model).__name__
        beyond, absent = ({**table[""], **table.get(kind, {})} for table in (BEYOND, ABSENT))
        yield from (f"{path}: no model knows {name}" for name in sorted(body.keys() - fields.keys() - beyond.keys()))
        yield from (f"{path}: {name} is missing" for name in sorted(fields.keys() - body.keys() - absent.keys()))
        for name in sorted(fields.keys() & body.keys()):
            yield from unlike(getattr(model, fields[name]), body[name], f"{path}.{name}")
    elif isinstance(model, list) and isinstance(body, list):
        if len(model) != len(body):
            yield f"{path}: {len(body)} rows, {len(model)} in the model"
        for one, row in zip(model, body, strict=False):
            yield from unlike(one, row, f"{path}[]")
    elif model != body or type(model) is not type(body):
        yield f"{path}: {body!r:.40} became {model!r:.40}"
