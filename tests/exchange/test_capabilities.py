"""Is everything an exchange lacks named, with what the bot does instead, and is trading refused where it must be?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.exchange.capabilities import capabilities_of
from tradebot.exchange.construction import exchange_class
from tradebot.exchange.dialects import DIALECTS, as_hex, dialect_of, from_hex

LACKS = {
    "binance": [],
    "okx": ["reports that are complete in themselves"],
    "bybit": [
        "market buys by base amount",
        "one query for an order by its client id",
        "reports that are complete in themselves",
    ],
    "kucoin": ["reports that are complete in themselves"],
    "gate": ["market buys by base amount", "reports that are complete in themselves"],
    "bitget": ["market buys by base amount", "reports that are complete in themselves"],
    "kraken": ["one query for an order by its client id", "reports that are complete in themselves"],
    "coinbase": [
        "a stream of own trades",
        "a stream of balances",
        "market buys by base amount",
        "finding an order by its client id",
        "reports that are complete in themselves",
    ],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_what_each_exchange_lacks_is_named_with_what_is_done_instead(name: str) -> None:
    can = capabilities_of(exchange_class(name)())
    assert [lack.what for lack in can.lacks] == LACKS[name]
    assert all(lack.instead for lack in can.lacks)
    assert can.refusals == ()
    assert can.tifs >= {"IOC", "FOK", "PO", "GTC"}
    assert can.user_stream
    assert can.clock
    assert can.market_buy_by_quote


def little(**more: Any) -> Any:
    """Return an exchange that has everything but what a test takes away."""
    has = dict.fromkeys(
        (
            *("spot", "createOrder", "cancelOrder", "fetchOpenOrders", "fetchClosedOrders", "fetchBalance"),
            *("fetchMyTrades", "fetchTime", "watchOrders", "watchMyTrades", "watchBalance"),
            "createMarketBuyOrderWithCost",
        ),
        True,
    )
    tifs = {"IOC": True, "FOK": True, "PO": True, "GTC": True}
    features = {"spot": {"createOrder": {"timeInForce": tifs, "marketBuyByCost": True}}}
    return SimpleNamespace(id="another", has={**has, **more}, features=features)


@pytest.mark.parametrize(
    "method", ["spot", "createOrder", "cancelOrder", "fetchOpenOrders", "fetchBalance", "fetchMyTrades"]
)
def test_an_exchange_without_what_trading_needs_is_refused(method: str) -> None:
    assert capabilities_of(little()).refusals == ()
    (refused,) = capabilities_of(little(**{method: False})).refusals
    assert refused.what == ("spot markets" if method == "spot" else method)


def test_an_exchange_where_a_lost_answer_could_never_be_resolved_is_refused() -> None:
    (refused,) = capabilities_of(little(fetchClosedOrders=False)).refusals
    assert "never be resolved" in refused.instead
    assert capabilities_of(little(fetchClosedOrders=False, fetchOrders=True)).refusals == ()


@pytest.mark.parametrize("emulated", [False, None, "emulated"])
def test_a_stream_that_is_only_emulated_is_none(emulated: Any) -> None:
    can = capabilities_of(little(watchOrders=emulated))
    assert not can.user_stream
    assert "a stream of own orders" in [lack.what for lack in can.lacks]


OWN_IDS = st.from_regex(r"[a-z0-9-]{1,24}", fullmatch=True)


@given(OWN_IDS)
def test_a_client_id_comes_back_from_every_exchange_as_it_was(client_id: str) -> None:
    for name in [*DIALECTS, "another"]:
        dialect = dialect_of(name)
        assert dialect.from_wire(dialect.to_wire(client_id)) == client_id
    assert len(as_hex(client_id)) == 32
    assert dialect_of("okx").to_wire(client_id).isalnum()
    assert dialect_of("gate").to_wire(client_id).startswith("t-")
    assert len(dialect_of("gate").to_wire(client_id)) <= 28


@given(OWN_IDS, OWN_IDS)
def test_two_client_ids_are_never_one_on_the_wire(first: str, second: str) -> None:
    for dialect in DIALECTS.values():
        assert (dialect.to_wire(first) == dialect.to_wire(second)) == (first == second)


@pytest.mark.parametrize("client_id", ["a" * 30, "Has-Capitals", "under_score"])
def test_an_id_that_an_exchange_cannot_carry_is_refused(client_id: str) -> None:
    with pytest.raises(ValueError, match=r"too long|substring not found"):
        as_hex(client_id)


def test_a_text_that_is_none_of_ours_stays_as_it_is() -> None:
    assert from_hex("placed by hand") == "placed by hand"
