"""Is a body what a typed model declares, to the field? Asked by the tests of Binance's own client.

Its models take a body with fields too many or too few without a word, so they are counted here beside the wire's body.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

ABSENT: Final = {
    **dict.fromkeys(
        ("preventedMatchId", "preventedQuantity", "expiryReason"), "told only of an order that it befell"
    ),
    **dict.fromkeys(("strategyId", "strategyType"), "told only of an order that was sent with it"),
    **dict.fromkeys(
        (*("stopPrice", "icebergQty", "trailingDelta", "trailingTime", "pegPriceType", "pegOffsetType"),
         *("pegOffsetValue", "peggedPrice", "usedSor", "workingFloor", "allocationId", "tradeGroupId")),
        "kinds of orders that are not modelled",
    ),
    **dict.fromkeys(("priceExponent", "qtyExponent", "multiplierExponent"), "told in SBE alone"),
    **dict.fromkeys(("sors", "permissions"), "told only where there are any"),
    "count": "told of limits that count for the account, not of exchangeInfo's",
}  # fmt: skip
"""Fields that a model declares and Binance sends only in cases that did not arise, with the case."""

BEYOND: Final = {"expiryReason": "documented for every order that has one; the models of new orders do not list it"}
"""Fields that Binance documents and a model does not declare, with the reason they are sent."""


def unlike(model: Any, body: Any, path: str = "") -> Iterator[str]:
    """Yield what a parsed model and the body it was made of do not agree on, each with its place."""
    inner = getattr(model, "actual_instance", None)
    if inner is not None:
        yield from unlike(inner, body, path)
    elif isinstance(model, BaseModel) and isinstance(body, dict):
        fields = {field.alias or name: name for name, field in type(model).model_fields.items()}
        fields.pop("additional_properties", None)
        fields.pop("additionalProperties", None)
        yield from (f"{path}: no model knows {name}" for name in sorted(body.keys() - fields.keys() - BEYOND.keys()))
        yield from (f"{path}: {name} is missing" for name in sorted(fields.keys() - body.keys() - ABSENT.keys()))
        for name in sorted(fields.keys() & body.keys()):
            yield from unlike(getattr(model, fields[name]), body[name], f"{path}.{name}")
    elif isinstance(model, list) and isinstance(body, list):
        if len(model) != len(body):
            yield f"{path}: {len(body)} rows, {len(model)} in the model"
        for one, row in zip(model, body, strict=False):
            yield from unlike(one, row, f"{path}[]")
    elif model != body or type(model) is not type(body):
        yield f"{path}: {body!r:.40} became {model!r:.40}"
