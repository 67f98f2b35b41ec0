"""Whatever is asked and whatever the market does, the paper account stays exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountDelta, AccountImage
from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryOrder
from tradebot.domain.events import (
    BookSeen,
    Event,
    FillReported,
    OrderAcknowledged,
    OrderClosed,
    OrderRefused,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.ports import Due
from tradebot.venues.paper import PaperVenue

A, B = "AAA/USDT", "BBB/USDT"
INSTRUMENTS = {
    A: Instrument(A, "AAA", "USDT", Decimal("0.01"), Decimal("0.001")),
    B: Instrument(B, "BBB", "USDT", Decimal("0.00001"), Decimal("0.00000001")),
}
SCALE = {A: Decimal(1), B: Decimal("0.0001")}  # BBB is cheap: its prices have more digits than a balance shows
START = {"USDT": Balance(Decimal(700)), "AAA": Balance(Decimal("3.5")), "BBB": Balance(Decimal("21234.5678"))}


class Moment(NamedTuple):
    """What happens, and how long after the last."""

    wait_ms: int
    what: Command | Event | None  # None: the shell wakes the venue when it is due


CENTS = st.integers(9_800, 10_200).map(lambda cents: cents / 100)
TENTHS = st.decimals("98", "102", places=1)
AMOUNTS = st.sampled_from([Decimal("0.001"), Decimal("0.5"), Decimal("1.017"), Decimal(2), Decimal("3.5"), Decimal(7)])
SIZES = st.sampled_from([0.0, 0.013, 0.5, 0.50000000001, 1 / 3, 2.0, 5.0, 40.0, float("inf")])
SYMBOLS = st.sampled_from([A, B])
WAITS = st.sampled_from([0, 0, 1, 7, 20, 61])


@st.composite
def orders(draw: st.DrawFn, number: int) -> PlaceOrder:
    """Draw an order; ids of earlier orders come again now and then."""
    client_id = f"o-{draw(st.integers(max(0, number - 9), number)) if draw(st.booleans()) else number}"
    symbol, side = draw(SYMBOLS), draw(st.sampled_from(Side))
    amount = draw(AMOUNTS) / SCALE[symbol]
    if draw(st.integers(0, 3)):
        tif = draw(st.sampled_from(TimeInForce))
        return PlaceOrder(
            client_id, symbol, side, OrderType.LIMIT, tif, 0, price=draw(TENTHS) * SCALE[symbol], amount=amount
        )
    in_quote = draw(st.booleans())
    return PlaceOrder(
        client_id,
        symbol,
        side,
        OrderType.MARKET,
        TimeInForce.IOC,
        0,
        amount=Decimal(0) if in_quote else amount,
        quote_amount=amount * 100 * SCALE[symbol] if in_quote else Decimal(0),
    )


@st.composite
def market_events(draw: st.DrawFn) -> Event:
    """Draw a trade, a book or a quote; prices are as long as floats are."""
    symbol = draw(SYMBOLS)
    scale = float(SCALE[symbol])
    price, sizes = draw(CENTS), [size / scale for size in draw(st.lists(SIZES, min_size=6, max_size=6))]
    match draw(st.integers(0, 3)):
        case 0:
            size = sizes[0] if 0 < sizes[0] < 1e9 else 0.7
            return TradeSeen(symbol, price * scale, size, draw(st.booleans()), 0)
        case 1:
            bids = tuple(((price - step / 10) * scale, size) for step, size in enumerate(sizes[:3]))
            asks = tuple(((price + 0.07 + step / 7) * scale, size) for step, size in enumerate(sizes[3:]))
            return BookSeen(symbol, bids, asks, 0)
        case _:
            ask = price + draw(st.sampled_from([0.0, 0.01, 1 / 3]))
            return QuoteSeen(symbol, price * scale, ask * scale, sizes[0], sizes[1], 0)


@st.composite
def scripts(draw: st.DrawFn, longest: int = 60) -> list[Moment]:
    """Draw a run: orders, cancels, queries, market events, wake-ups."""
    script = []
    for number in range(draw(st.integers(5, longest))):
        what: Command | Event | None
        match draw(st.integers(0, 11)):
            case 0 | 1 | 2:
                what = draw(orders(number))
            case 3 | 4:
                what = CancelOrder(f"o-{draw(st.integers(max(0, number - 6), number))}", draw(SYMBOLS))
            case 5:
                what = draw(st.sampled_from([None, QueryOrder(f"o-{number}", A)]))
            case _:
                what = draw(market_events())
        script.append(Moment(draw(WAITS), what))
    return script


PAPERS = st.builds(
    lambda fee_in, jitter, latency, share, bps: Paper(
        fee_in="quote" if fee_in else "received",
        jitter_ms=jitter,
        entry_latency_ms=latency,
        response_latency_ms=latency,
        participation=share,
        maker_fee_bps=Decimal(bps),
        taker_fee_bps=Decimal(10),
    ),
    st.booleans(),
    st.sampled_from([0, 13]),
    st.sampled_from([0, 20]),
    st.sampled_from([0.3, 1.0]),
    st.sampled_from([0, 7, 25]),
)


class Run:
    """A venue under a script, checked after every moment."""

    def __init__(self, paper: Paper, image: AccountImage, now_ms: int = 0) -> None:
        self.venue = PaperVenue(paper, INSTRUMENTS, "USDT", 5, image)
        self.now_ms = now_ms
        self.answers: list[Due] = []
        self.placed: list[PlaceOrder] = []
        self.deltas: list[AccountDelta] = []

    def play(self, script: Sequence[Moment]) -> Run:
        for moment in script:
            self.now_ms += moment.wait_ms
            answers = self.step(moment.what)
            assert all(due >= self.now_ms for due, _ in answers)
            delta = self.venue.take_delta()
            told = any(isinstance(event, FillReported | OrderClosed | OrderAcknowledged) for _, event in answers)
            assert delta is not None or not told, "what is answered was not there to be stored"
            self.deltas += [delta] if delta else []
            self.answers += answers
            check_balances(self.venue.image())
        return self

    def step(self, what: Command | Event | None) -> list[Due]:
        if what is None:
            return self.venue.advance(max(self.now_ms, min(self.venue.next_due_ms, self.now_ms + 50)))
        if isinstance(what, Command):
            if isinstance(what, PlaceOrder):
                self.placed.append(what)
            return self.venue.submit(what, self.now_ms)
        watched = self.venue.watches(what.symbol) if isinstance(what, QuoteSeen | BookSeen | TradeSeen) else True
        answers = self.venue.on_market(what, self.now_ms)
        assert watched or not answers
        return answers


def check_balances(image: AccountImage) -> None:
    locked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in image.orders.values():
        assert order.locked == 0 or order.status == "open"
        base, quote = order.symbol.split("/")
        locked[quote if order.side is Side.BUY else base] += order.locked
        assert order.filled <= order.amount or order.quote_amount
        assert order.cancels == () or order.status in ("pending", "open")
    for asset, balance in image.balances.items():
        assert balance.free >= 0
        assert balance.locked == locked[asset]


def check_conservation(image: AccountImage, fills: Sequence[FillReported], sides: dict[str, Side]) -> None:
    """Sum the fills in fractions, which never round, and compare with the balances."""
    expected = defaultdict(Fraction, {asset: Fraction(balance.total) for asset, balance in START.items()})
    for fill in fills:
        base, quote = fill.symbol.split("/")
        sign = 1 if sides[fill.trade_id] is Side.BUY else -1
        expected[base] += sign * Fraction(fill.amount)
        expected[quote] -= sign * Fraction(fill.price) * Fraction(fill.amount)
        expected[fill.fee_asset] -= Fraction(fill.fee)
    held = {asset: Fraction(balance.free) + Fraction(balance.locked) for asset, balance in image.balances.items()}
    assert held == dict(expected)


def check_story(run: Run) -> dict[str, Side]:
    """Check every order's answers against its command, in the order they come due; return the fills' sides."""
    wishes: defaultdict[str, list[PlaceOrder]] = defaultdict(list)
    for wish in run.placed:
        wishes[wish.client_id].append(wish)
    sides: dict[str, Side] = {}
    for client_id, asked in wishes.items():
        mine = [(due, event) for due, event in run.answers if getattr(event, "client_id", "") == client_id]
        story = [
            (due, event) for due, event in mine if isinstance(event, OrderAcknowledged | FillReported | OrderClosed)
        ]
        refused = sum(isinstance(event, OrderRefused) for _, event in mine)
        acks = sum(isinstance(event, OrderAcknowledged) for _, event in story)
        assert acks + refused <= len(asked)
        state, filled, last_due = "new", Decimal(0), 0
        for due, event in story:
            match event:
                case OrderAcknowledged():
                    assert state in ("new", "closed")
                    state, filled, last_due = "open", Decimal(0), 0
                case FillReported():
                    assert state == "open"
                    filled += event.amount
                    sides[event.trade_id] = check_fill(event, asked)
                case OrderClosed():
                    assert state == "open"
                    assert event.filled == filled
                    state = "closed"
            assert due >= last_due
            last_due = due
    return sides


def check_fill(fill: FillReported, asked: list[PlaceOrder]) -> Side:
    """Check a fill against the order of its id that it can belong to; return the side."""
    assert fill.amount > 0
    assert fill.amount % INSTRUMENTS[fill.symbol].amount_step == 0
    assert fill.fee >= 0
    fits = [wish for wish in asked if wish.symbol == fill.symbol and allows(wish, fill)]
    assert fits, f"{fill} suits none of {asked}"
    sides = {wish.side for wish in fits}
    return sides.pop() if len(sides) == 1 else next(wish.side for wish in reversed(fits))


def allows(wish: PlaceOrder, fill: FillReported) -> bool:
    if wish.type is OrderType.MARKET:
        return not fill.maker
    if fill.maker and fill.price != wish.price:
        return False
    within = fill.price <= wish.price if wish.side is Side.BUY else fill.price >= wish.price
    return within and fill.amount <= wish.amount


def unique_ids(script: Sequence[Moment]) -> list[Moment]:
    """Give every order of a script an id of its own, and every cancel one of the last orders to aim at."""
    renamed: list[Moment] = []
    placed: list[PlaceOrder] = []
    for number, moment in enumerate(script):
        what = moment.what
        if isinstance(what, PlaceOrder):
            what = msgspec.structs.replace(what, client_id=f"o-{number}")
            placed.append(what)
        elif isinstance(what, CancelOrder) and placed:
            target = placed[-1 - int(what.client_id[2:]) % min(4, len(placed))]
            what = CancelOrder(target.client_id, target.symbol)
        renamed.append(moment._replace(what=what))
    return renamed


@given(PAPERS, scripts())
@settings(max_examples=200)
def test_every_asset_is_conserved_to_the_last_unit_and_every_order_tells_one_story(
    paper: Paper, script: list[Moment]
) -> None:
    run = Run(paper, AccountImage(dict(START))).play(unique_ids(script))
    sides = check_story(run)
    image = run.venue.image()
    fills = [event for _, event in run.answers if isinstance(event, FillReported)]
    assert len({fill.trade_id for fill in fills}) == len(fills)
    assert sorted(image.fills, key=lambda fill: fill.trade_id) == sorted(fills, key=lambda fill: fill.trade_id)
    check_conservation(image, fills, sides)
    for order in image.orders.values():
        assert order.filled == sum(fill.amount for fill in fills if fill.client_id == order.client_id)


@given(PAPERS, scripts())
@settings(max_examples=100)
def test_ids_that_come_again_never_mix_two_orders(paper: Paper, script: list[Moment]) -> None:
    run = Run(paper, AccountImage(dict(START))).play(script)
    image = run.venue.image()
    for order in image.orders.values():
        assert order.filled == sum(fill.amount for fill in image.fills if fill.client_id == order.client_id)


@given(PAPERS, scripts())
@settings(max_examples=100)
def test_the_deltas_add_up_to_the_account(paper: Paper, script: list[Moment]) -> None:
    run = Run(paper, AccountImage(dict(START))).play(unique_ids(script))
    last = run.venue.take_delta(everything=True)
    stored = AccountImage(dict(START))
    for delta in [*run.deltas, *([last] if last else [])]:
        told = msgspec.json.decode(msgspec.json.encode(delta), type=AccountDelta)
        stored.balances |= told.balances
        stored.orders |= told.orders
        stored.fills += told.fills
        stored.next_order, stored.next_trade, stored.requests = told.next_order, told.next_trade, told.requests
    assert stored == run.venue.image()
    assert run.venue.take_delta(everything=True) is None


@given(PAPERS, scripts())
@settings(max_examples=40)
def test_the_same_run_is_answered_the_same(paper: Paper, script: list[Moment]) -> None:
    first, second = (Run(paper, AccountImage(dict(START))).play(script) for _ in range(2))
    assert first.answers == second.answers
    assert first.venue.image() == second.venue.image()


@given(PAPERS, scripts(), scripts(30))
@settings(max_examples=100)
def test_a_restart_goes_on_where_it_was(paper: Paper, before: list[Moment], after: list[Moment]) -> None:
    """What was taken of which level is not in the image: first the market shows prices far from all before, to both."""
    run = Run(paper, AccountImage(dict(START))).play(before)
    image = msgspec.json.decode(msgspec.json.encode(run.venue.image()), type=AccountImage)
    again = Run(paper, image, run.now_ms)
    fresh = []
    for symbol, scale in SCALE.items():
        looks = PlaceOrder(f"look-{symbol}", symbol, Side.BUY, OrderType.LIMIT, TimeInForce.IOC, 0, scale, 1 / scale)
        far = QuoteSeen(symbol, 10 * float(scale), 500 * float(scale), 0.125, 0.125, 0)
        fresh += [Moment(0, looks), Moment(100, far)]
    seen = len(run.answers)
    run.play([*fresh, *after])
    again.play([*fresh, *after])
    assert run.answers[seen:] == again.answers
    assert run.venue.image() == again.venue.image()


@given(st.lists(st.tuples(AMOUNTS, st.booleans()), min_size=1, max_size=8), st.sampled_from([0.5, 1.0]))
def test_what_one_level_shows_is_given_once(asked: list[tuple[Decimal, bool]], share: float) -> None:
    rich = AccountImage({"USDT": Balance(Decimal(10**6))})
    venue = PaperVenue(Paper(jitter_ms=0, entry_latency_ms=0, participation=share), INSTRUMENTS, "USDT", 1, rich)
    got = Decimal(0)
    for number, (amount, immediate) in enumerate(asked):
        tif = TimeInForce.IOC if immediate else TimeInForce.GTC
        wish = PlaceOrder(f"o-{number}", A, Side.BUY, OrderType.LIMIT, tif, 0, Decimal(101), amount)
        venue.submit(wish, number)
        answers = venue.on_market(QuoteSeen(A, 99.0, 100.0, 2.0, 2.0, number), number)
        got += sum((event.amount for _, event in answers if isinstance(event, FillReported)), Decimal(0))
    assert got == min(Decimal(2) * Decimal(str(share)), sum(amount for amount, _ in asked))
