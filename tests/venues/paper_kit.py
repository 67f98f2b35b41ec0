"""What do the paper venue's tests stand on? One small market, and its answers told in short lines."""

from __future__ import annotations

from decimal import Decimal

from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import Command, PlaceOrder
from tradebot.domain.events import (
    BookSeen,
    CancelRefused,
    Event,
    FillReported,
    OrderAcknowledged,
    OrderClosed,
    OrderRefused,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import plain
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.ports import Due
from tradebot.venues.paper import PaperVenue

BTC, ETH = "BTC/USDT", "ETH/USDT"
IOC, FOK, GTC, PO = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC, TimeInForce.PO
D = Decimal

INSTRUMENTS = {
    symbol: Instrument(
        symbol, symbol[:3], "USDT", D("0.01"), D("0.001"), min_amount=D("0.001"), max_amount=D(9), min_notional=D(5)
    )
    for symbol in (BTC, ETH)
}


def venue(image: AccountImage | None = None, seed: int = 1, **settings: object) -> PaperVenue:
    """Return a venue with 40 ms to it and 20 ms back, no jitter, everything shown to be had, 10 bps of fee."""
    said = {"jitter_ms": 0, "participation": 1.0, "initial_quote": D(1000)} | settings
    return PaperVenue(Paper.model_validate(said), INSTRUMENTS, "USDT", seed, image)


def order(client_id: str, tif: TimeInForce, price: str, amount: str, side: Side = Side.BUY) -> PlaceOrder:
    return PlaceOrder(client_id, BTC, side, OrderType.LIMIT, tif, 9_999, D(price), D(amount))


def market(client_id: str, side: Side = Side.BUY, *, amount: str = "0", quote_amount: str = "0") -> PlaceOrder:
    return PlaceOrder(
        client_id, BTC, side, OrderType.MARKET, IOC, 9_999, amount=D(amount), quote_amount=D(quote_amount)
    )


def quote(bid: float, ask: float, size: float = 5.0, bid_size: float | None = None, symbol: str = BTC) -> QuoteSeen:
    return QuoteSeen(symbol, bid, ask, size if bid_size is None else bid_size, size, 0)


def trade(price: float, size: float, *, buyer: bool) -> TradeSeen:
    return TradeSeen(BTC, price, size, buyer, 0)


def story(answers: list[Due]) -> list[str]:
    """Return answers as "due: what", in the order they are due."""
    return [f"{due}: {tell(event)}" for due, event in sorted(answers, key=lambda each: each[0])]


def tell(event: Event) -> str:
    match event:
        case OrderAcknowledged():
            return f"{event.client_id} ack"
        case FillReported():
            kind = "maker" if event.maker else "taker"
            amount, price, fee = (plain(each) for each in (event.amount, event.price, event.fee))
            return f"{event.client_id} {amount}@{price} {kind} -{fee} {event.fee_asset}"
        case OrderClosed():
            return f"{event.client_id} {event.outcome} {plain(event.filled)} {event.reason}".rstrip()
        case OrderRefused():
            return f"{event.client_id} {event.code} {event.message}"
        case CancelRefused():
            return f"{event.client_id} cancel {event.code} {event.message}"
        case _:
            raise AssertionError(event)


def told(where: PaperVenue, *happenings: tuple[int, Command | Event]) -> list[str]:
    """Return the story of commands and market events at their times."""
    answers: list[Due] = []
    for at_ms, what in happenings:
        answers += where.submit(what, at_ms) if isinstance(what, Command) else where.on_market(what, at_ms)
    return story(answers)


def rested(where: PaperVenue, *orders: PlaceOrder, bid_size: float = 5.0) -> PaperVenue:
    """Return `where` with `orders` in effect in a market of 99/101 at 40 ms."""
    for each in orders:
        assert where.submit(each, 0) == []
    assert {type(event) for _, event in where.on_market(quote(99, 101, bid_size=bid_size), 40)} == {OrderAcknowledged}
    return where


BOOK = BookSeen(BTC, ((99.0, 1.0), (98.0, 3.0)), ((100.0, 1.0), (101.0, 2.0), (102.0, 9.0)), 0)
