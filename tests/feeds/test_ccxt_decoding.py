"""Does the own decoder read what Binance may send, and nothing else as a price?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.events import QuoteSeen, TradeSeen
from tradebot.feeds.decode_binance import BinanceMessages, DepthDiff, ServerGoing, Unreadable

NOW = 1_700_000_000_000
TICKER = {"u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21", "a": "25.36520000", "A": "40.66"}
TRADE = {
    "e": "trade",
    "E": NOW,
    "s": "BNBUSDT",
    "t": 12345,
    "p": "0.001",
    "q": "100",
    "T": NOW - 9,
    "m": True,
    "M": True,
}
AGGREGATE = {
    "e": "aggTrade",
    "E": NOW,
    "s": "BNBUSDT",
    "a": 9,
    "p": "2",
    "q": "3",
    "f": 1,
    "l": 2,
    "T": NOW,
    "m": False,
}
DEPTH = {
    "e": "depthUpdate",
    "E": NOW,
    "s": "BNBUSDT",
    "U": 157,
    "u": 160,
    "b": [["0.0024", "10"]],
    "a": [["0.0026", "0"]],
}
MESSAGES = (TICKER, TRADE, AGGREGATE, DEPTH)

as_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def reader(offset_ms: int = 0) -> BinanceMessages:
    return BinanceMessages({"BNBUSDT": "BNB/USDT"}, lambda: offset_ms)


def text(message: Any) -> str:
    return json.dumps(message, separators=(",", ":"))


def test_each_stream_is_read_with_its_time() -> None:
    messages = reader(offset_ms=-4)
    assert messages.read(text(TICKER), NOW) == QuoteSeen("BNB/USDT", 25.3519, 25.3652, 31.21, 40.66, NOW)
    assert messages.read(text(TRADE), NOW) == TradeSeen("BNB/USDT", 0.001, 100.0, False, NOW - 13)
    assert messages.read(text(AGGREGATE), NOW - 20) == TradeSeen("BNB/USDT", 2.0, 3.0, True, NOW - 20)
    assert messages.read(text(DEPTH), NOW) == DepthDiff("BNB/USDT", 157, 160, [(0.0024, 10.0)], [(0.0026, 0.0)], NOW)
    assert messages.read(text({"e": "serverShutdown", "E": NOW}), NOW) == ServerGoing()


def test_a_trade_is_told_once_however_often_it_is_sent() -> None:
    messages = reader()
    assert isinstance(messages.read(text(TRADE), NOW), TradeSeen)
    assert messages.read(text(TRADE), NOW) is None
    assert messages.read(text({**TRADE, "t": 12_344}), NOW) is None
    assert isinstance(messages.read(text({**TRADE, "t": 12_346}), NOW), TradeSeen)


@pytest.mark.parametrize(
    "odd",
    [
        {**TICKER, "b": "0.00000000", "B": "0.00000000"},
        {**TICKER, "b": "26", "a": "25"},
        {**TICKER, "a": "inf"},
        {**TICKER, "B": "-1"},
        {**TICKER, "B": "nan"},
        {**TRADE, "p": "0"},
        {**TRADE, "q": "nan"},
        {**TICKER, "s": "OTHERUSDT"},
        {**DEPTH, "s": "OTHERUSDT"},
    ],
)
def test_what_is_no_price_of_ours_is_told_to_nobody(odd: dict[str, Any]) -> None:
    assert reader().read(text(odd), NOW) is None


def test_a_trade_that_could_not_be_used_does_not_hide_the_next_of_its_id() -> None:
    messages = reader()
    assert messages.read(text({**TRADE, "p": "0"}), NOW) is None
    assert isinstance(messages.read(text(TRADE), NOW), TradeSeen)


@pytest.mark.parametrize(
    "other",
    [
        {"result": None, "id": 1},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 1},
        {"e": "24hrMiniTicker", "E": NOW, "s": "BNBUSDT", "c": "1"},
        {"e": "somethingNew", "s": "BNBUSDT", "a": "1", "b": "2"},
        {"e": ["trade"]},
        {},
    ],
)
def test_what_is_no_market_message_is_left_to_ccxt(other: dict[str, Any]) -> None:
    assert reader().read(text(other), NOW) is False


@given(
    order=st.permutations(range(8)),
    which=st.sampled_from(MESSAGES),
    extra=st.dictionaries(st.text(), as_json, max_size=3),
)
def test_the_order_of_the_fields_and_unknown_ones_change_nothing(
    order: list[int], which: dict[str, Any], extra: dict[str, Any]
) -> None:
    items = list(which.items())
    shuffled = dict([items[at] for at in order if at < len(items)] + items[8:])
    unknown = {f"x{name}": value for name, value in extra.items()}
    expected = reader().read(text(which), NOW)
    assert expected not in {None, False} if not isinstance(expected, DepthDiff) else expected.symbol == "BNB/USDT"
    for message in (shuffled, {**unknown, **shuffled}, {**shuffled, **unknown}):
        assert reader().read(text(message), NOW) == expected
        assert reader().read(text(message).encode(), NOW) == expected
        assert reader().read(text({"stream": "x", "data": message}), NOW) == expected


@given(which=st.sampled_from(MESSAGES), at=st.integers(0, 200))
def test_a_cut_message_is_unreadable_and_never_a_price(which: dict[str, Any], at: int) -> None:
    whole = text(which)
    cut = whole[: at % len(whole)]
    with pytest.raises(Unreadable):
        reader().read(cut, NOW)


@given(which=st.sampled_from(MESSAGES), data=st.data())
def test_any_value_in_a_field_is_a_price_or_unreadable_and_nothing_else(
    which: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(which)))
    told: Any = None
    try:
        told = reader().read(text({**which, name: data.draw(as_json)}), NOW)
    except Unreadable:
        return
    if isinstance(told, QuoteSeen):
        assert 0 < told.bid <= told.ask < float("inf")
        assert min(told.bid_size, told.ask_size) >= 0
    elif isinstance(told, TradeSeen):
        assert 0 < told.price < float("inf")
        assert 0 < told.size < float("inf")
        assert told.at_ms <= NOW


@given(st.text() | st.binary() | as_json.map(text))
def test_any_frame_at_all_is_read_or_unreadable(frame: str | bytes) -> None:
    try:
        told = reader().read(frame, NOW)
    except Unreadable:
        return
    assert told is None or told is False or isinstance(told, ServerGoing)
