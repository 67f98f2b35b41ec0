"""On a recorded market every fill has its evidence in the recording."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.events import FillReported, OrderClosed, QuoteSeen, TradeSeen
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.venues.paper import PaperVenue

BTC = "BTC/USDT"
INSTRUMENT = Instrument(BTC, "BTC", "USDT", Decimal("0.01"), Decimal("0.000001"))


def rows(path: Path) -> list[dict[str, Any]]:
    """Return a recording's rows; skip the test where parquet cannot be read."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="reading parquet is an extra")
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


@pytest.fixture(scope="module")
def quotes(shared_data: Path) -> list[QuoteSeen]:
    recorded = rows(shared_data / "book/binance_spot_BTC-USDT_quotes_2021-01-08.parquet")
    return [QuoteSeen(BTC, row["bid"], row["ask"], row["bid_qty"], row["ask_qty"], row["ts"]) for row in recorded]


@pytest.fixture(scope="module")
def trades(shared_data: Path) -> list[TradeSeen]:
    recorded = rows(shared_data / "trades/binance_spot_BTC-USDT_trades_2021-01-08.parquet")
    return [TradeSeen(BTC, row["price"], row["qty"], not row["is_buyer_maker"], row["ts"]) for row in recorded]


def paper(image: AccountImage | None = None, **settings: object) -> PaperVenue:
    said = {"jitter_ms": 0, "entry_latency_ms": 150, "initial_quote": Decimal(10**9)} | settings
    return PaperVenue(Paper.model_validate(said), {BTC: INSTRUMENT}, "USDT", 1, image)


def test_a_taker_gets_half_of_what_the_first_quote_after_its_arrival_shows(quotes: list[QuoteSeen]) -> None:
    venue = paper(participation=0.5)
    checked = 0
    for number, seen in enumerate(quotes[:-20:20]):
        sent_ms = seen.at_ms
        wish = PlaceOrder(
            f"o-{number}", BTC, Side.BUY, OrderType.LIMIT, TimeInForce.IOC, 0, Decimal(99_999), Decimal(1)
        )
        assert venue.submit(wish, sent_ms) == []
        met = next(quote for quote in quotes if quote.at_ms >= sent_ms + 150)
        coming = (venue.on_market(quote, quote.at_ms) for quote in quotes if quote.at_ms > sent_ms)
        answers = next(found for found in coming if found)
        fills = [event for _, event in answers if isinstance(event, FillReported)]
        half = min(Decimal(str(met.ask_size)) / 2, Decimal(1)).quantize(INSTRUMENT.amount_step, "ROUND_DOWN")
        assert [(fill.price, fill.amount) for fill in fills] == ([(Decimal(str(met.ask)), half)] if half else [])
        assert all(due == met.at_ms + 20 for due, _ in answers)
        checked += bool(fills)
    assert checked > 15


def test_a_makers_fills_never_exceed_what_buyers_brought_to_its_price(
    quotes: list[QuoteSeen], trades: list[TradeSeen]
) -> None:
    """One order at the best ask at a time: all it gets was printed or shown at its price or beyond."""
    market: list[QuoteSeen | TradeSeen] = sorted([*quotes, *trades], key=lambda event: event.at_ms)
    venue = paper(AccountImage({"BTC": Balance(Decimal(100))}), entry_latency_ms=0, participation=1.0)
    ask, brought, got, ended, makers = 0.0, 0.0, 0.0, 0, 0
    for number, event in enumerate(market):
        answers = venue.on_market(event, event.at_ms)
        fills = [told for _, told in answers if isinstance(told, FillReported)]
        if isinstance(event, QuoteSeen):
            brought += event.bid_size if event.bid > ask else 0.0
            assert not fills or event.bid > ask
        else:
            brought += event.size if event.buyer_taker and event.price >= ask else 0.0
            assert not fills or (event.buyer_taker and event.price >= ask)
        assert all(float(fill.price) == ask and fill.maker for fill in fills)
        got += sum(float(fill.amount) for fill in fills)
        assert got <= brought + 1e-9
        makers += len(fills)
        ended += sum(isinstance(told, OrderClosed) for _, told in answers)
        if isinstance(event, QuoteSeen) and not venue.watches(BTC):
            ask, brought, got = event.ask, 0.0, 0.0
            wish = PlaceOrder(
                f"o-{number}", BTC, Side.SELL, OrderType.LIMIT, TimeInForce.PO, 0, Decimal(str(ask)), Decimal("0.5")
            )
            venue.submit(wish, event.at_ms)
    assert ended > 20
    assert makers > ended
