"""Does the comparison of a model with its body see what a client passes over?"""

from __future__ import annotations

import pytest
from binance_sdk_spot.rest_api.models import AvgPriceResponse, DepthResponse

from tests.conformance.typed import unlike

AVERAGE = {"mins": 5, "price": "9.35751834", "closeTime": 1694061154503}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"zz": 1}, ["avg: no model knows zz"]),
    ],
)
def test_a_field_too_many_is_seen(change: dict[str, object], found: list[str]) -> None:
    body = AVERAGE | change
    assert list(unlike(AvgPriceResponse.from_dict(body), body, "avg")) == found


def test_a_field_too_few_is_seen() -> None:
    body = {name: AVERAGE[name] for name in ("mins", "price")}
    assert list(unlike(AvgPriceResponse.from_dict(body), body, "avg")) == ["avg: closeTime is missing"]


def test_a_value_that_the_client_made_another_of_is_seen() -> None:
    model = AvgPriceResponse.from_dict(AVERAGE)
    assert list(unlike(model, AVERAGE | {"price": 9.35751834}, "avg")) == ["avg.price: 9.35751834 became '9.35751834'"]


def test_rows_too_few_are_seen() -> None:
    body = {"lastUpdateId": 1, "bids": [["4.0", "431.0"]], "asks": []}
    model = DepthResponse.from_dict(body)
    more = body | {"bids": [["4.0", "431.0"], ["3.9", "1.0"]]}
    assert list(unlike(model, more, "depth")) == ["depth.bids: 2 rows, 1 in the model"]
