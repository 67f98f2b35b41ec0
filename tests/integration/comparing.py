"""Do the bot and the exchange tell the same story, by id and to the last unit? Asked by rehearsals, soaks and the
crash matrix.

The bot's side is its journal, and its ledger as the product's own start would restore it; the exchange's side is a
`Picture`. Both must stand still: the bot has ended, no request is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.integration.comparing_pictures import Account, Picture, SeenFill, SeenOrder, core_picture, is_open
from tradebot.config.profile import Profile
from tradebot.domain import facts as f
from tradebot.domain.errors import StorageFailed
from tradebot.domain.numbers import EXACT, ZERO, plain
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.engine import picture
from tradebot.engine.desk import Desk
from tradebot.engine.state import EngineState
from tradebot.sandbox.exchange import Exchange
from tradebot.storage.checkpoint import read_checkpoint
from tradebot.storage.journal_file import read_facts

BEGUN: Mapping[str, Decimal] = {"USDT": Decimal(10_000)}
"""What a sandbox account holds before the bot's first order, unless it is told otherwise."""

_ENDS = {"FILLED": "filled", "CANCELED": "canceled", "EXPIRED": "expired", "EXPIRED_IN_MATCH": "expired"}

Tail = Sequence[tuple[int, int, f.Fact]]
Fate = f.OrderDone | f.OrderRejected | f.OrderNeverSent


class Differences(Struct, frozen=True):
    """Every difference in words, none is agreement; and how much was compared."""

    words: tuple[str, ...]
    orders: int
    fills: int
    symbols: int

    def __bool__(self) -> bool:
        return bool(self.words)

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __str__(self) -> str:
        """Return one difference a line, or what agrees."""
        if not self.words:
            return f"{self.orders} orders and {self.fills} fills of {self.symbols} symbols agree, and every balance"
        return "\n".join(self.words)


class Books:
    """What the bot holds to be true: its journal's orders and fills, and its restored state."""

    def __init__(self, tail: Tail, state: EngineState) -> None:
        self.state = state
        self.planned: dict[str, f.OrderPlanned] = {}
        self.fates: dict[str, Fate] = {}
        self.fills: list[f.OrderFilled] = []
        self.fills_of: dict[str, list[f.OrderFilled]] = {}
        self.opened: f.AccountOpened | None = None
        for _, _, fact in tail:
            if isinstance(fact, f.OrderPlanned):
                self.planned[fact.client_id] = fact
            elif isinstance(fact, f.OrderDone | f.OrderRejected | f.OrderNeverSent):
                self.fates[fact.client_id] = fact
            elif isinstance(fact, f.OrderFilled):
                self.fills.append(fact)
                self.fills_of.setdefault(fact.client_id, []).append(fact)
            elif isinstance(fact, f.AccountOpened):
                self.opened = fact


def compare(
    home: Path, exchange: Account | Exchange | Picture, *, begun: Mapping[str, Decimal] = BEGUN, foreign: bool = False
) -> Differences:
    """Compare the bot of `home` (its folder in `state_dir`) with the exchange.

    `begun` is what the account held before the bot's first order, by asset. With `foreign` orders whose client id is
    of no order of the bot are left alone, and the balances that they move are not compared. Raises StorageFailed where
    the journal cannot be read.
    """
    seen = _seen(exchange)
    tail = list(read_facts(home / "journal.sqlite"))
    quote = next((fact.asset for _, _, fact in tail if isinstance(fact, f.AccountOpened)), "USDT")
    state, words = _restored(home, tail, quote)
    books = Books(tail, state)
    orders, more = _paired(books, seen, foreign=foreign)
    words += more
    for client_id, order in orders.items():
        words += _order(books, client_id, order)
    words += _open(books, seen, orders)
    words += _fills(books, seen, orders, foreign=foreign)
    if not foreign:
        words += _balances(books, seen, begun)
    symbols = {plan.symbol for plan in books.planned.values()}
    return Differences(tuple(words), len(books.planned), len(books.fills), len(symbols))


def _seen(exchange: Account | Exchange | Picture) -> Picture:
    if isinstance(exchange, Account):
        return exchange.picture()
    return core_picture(exchange) if isinstance(exchange, Exchange) else exchange


def wire(symbol: str) -> str:
    """Return the exchange's name of a symbol (BTC/USDT is BTCUSDT)."""
    return symbol.replace("/", "")


# -- the bot's own state ------------------------------------------------------------------------------


def _restored(home: Path, tail: Tail, quote: str) -> tuple[EngineState, list[str]]:
    """Return the state as a start restores it, and where checkpoint and journal disagree about it."""
    whole = _state(quote, None, tail)
    try:
        document = read_checkpoint(home / "checkpoint.json")
        if document is None:
            return whole, []
        if int(document["seq"]) > len(tail):
            return whole, [f"the checkpoint is at seq {document['seq']}, the journal ends at {len(tail)}"]
        state = _state(quote, document, tail)
    except StorageFailed as error:
        return whole, [str(error)]
    one, other = msgspec.to_builtins(state.ledger), msgspec.to_builtins(whole.ledger)
    same = one == other and state.orders.keys() == whole.orders.keys()
    return state, [] if same else ["the checkpoint and its tail give another ledger than the whole journal"]


def _state(quote: str, document: Mapping[str, object] | None, tail: Tail) -> EngineState:
    desk = Desk(Profile.model_validate({"market": {"quote": quote}}), {})
    picture.restore(desk, document, tail)
    return desk.state


# -- orders -------------------------------------------------------------------------------------------


def _paired(books: Books, seen: Picture, *, foreign: bool) -> tuple[dict[str, SeenOrder], list[str]]:
    """Return the exchange's orders by own client id, and those that only one side knows or that are there twice."""
    found: dict[str, SeenOrder] = {}
    words = []
    for order in seen.orders:
        if order.client_id not in books.planned:
            if not foreign:
                words.append(f"{_named(order)}: the bot's journal knows no such order")
        elif order.client_id in found:
            words.append(f"{_named(order)}: doubled, order {found[order.client_id].order_id} has the same client id")
        else:
            found[order.client_id] = order
    for client_id, plan in books.planned.items():
        fate = books.fates.get(client_id)
        told = isinstance(fate, f.OrderDone) and fate.outcome != "absent"
        if client_id not in found and (fate is None or told):
            end: str = fate.outcome if isinstance(fate, f.OrderDone) else "not over"
            words.append(f"{client_id} {plan.symbol}: {end} for the bot, the exchange knows no such order")
        elif client_id in found and fate is not None and not told:
            what = "absent" if isinstance(fate, f.OrderDone) else fate.event_type
            words.append(f"{_named(found[client_id])}: {what} for the bot, {found[client_id].status} at the exchange")
    return found, words


def _order(books: Books, client_id: str, order: SeenOrder) -> list[str]:
    plan = books.planned[client_id]
    fills = books.fills_of.get(client_id, [])
    with localcontext(EXACT):
        filled = sum((fill.amount for fill in fills), ZERO)
        cost = sum((fill.price * fill.amount for fill in fills), ZERO)
    market = plan.type is OrderType.MARKET
    kind = "MARKET" if market else "LIMIT_MAKER" if plan.tif is TimeInForce.PO else "LIMIT"
    pairs: list[tuple[str, object, object]] = [
        ("symbol", wire(plan.symbol), order.symbol),
        ("side", plan.side.upper(), order.side),
        ("type", kind, order.kind),
        ("executed", filled, order.executed),
        ("cost", cost, order.cost),
        ("quote amount", plan.quote_amount, order.quote_amount),
    ]
    if not market:
        pairs.append(("price", plan.price, order.price))
    if not plan.quote_amount:
        pairs.append(("amount", plan.amount, order.amount))
    if kind == "LIMIT":
        pairs.append(("time in force", str(plan.tif), order.tif))
    fate = books.fates.get(client_id)
    if isinstance(fate, f.OrderDone) and fate.outcome != "absent":
        pairs.append(("end", fate.outcome, _ENDS.get(order.status, order.status)))
        pairs.append(("filled at its end", fate.filled, order.executed))
    return [
        f"{_named(order)}: {name} {_text(mine)} for the bot, {_text(its)} at the exchange"
        for name, mine, its in pairs
        if mine != its
    ]


def _open(books: Books, seen: Picture, orders: Mapping[str, SeenOrder]) -> list[str]:
    """Return where the two disagree about which orders are open, and where the exchange does with itself."""
    words = []
    for client_id, held in books.state.orders.items():
        order = orders.get(client_id)
        if order is not None and not is_open(order):
            words.append(f"{_named(order)}: {held.state} for the bot, {order.status} at the exchange")
        elif order is not None and held.state != "open":
            words.append(f"{_named(order)}: {order.status} at the exchange, still {held.state} for the bot")
    for order in seen.orders:
        if is_open(order) and order.client_id in books.planned and order.client_id not in books.state.orders:
            words.append(f"{_named(order)}: open at the exchange, over for the bot")
        if is_open(order) != (order.order_id in seen.open_ids):
            words.append(f"{_named(order)}: {order.status}, and the list of open orders says otherwise")
    return words


# -- fills --------------------------------------------------------------------------------------------


def _fills(books: Books, seen: Picture, orders: Mapping[str, SeenOrder], *, foreign: bool) -> list[str]:
    words = []
    booked: dict[tuple[str, str], f.OrderFilled] = {}
    for fill in books.fills:
        key = wire(fill.symbol), fill.trade_id
        if key in booked:
            words.append(f"trade {fill.trade_id} of {fill.symbol}: booked twice")
        booked[key] = fill
    told: dict[tuple[str, str], SeenFill] = {}
    own = {order.order_id for order in orders.values()}
    for trade in seen.fills:
        key = trade.symbol, trade.trade_id
        if key in told:
            words.append(f"trade {trade.trade_id} of {trade.symbol}: told twice by the exchange")
        if not foreign or trade.order_id in own:
            told[key] = trade
    words += [f"trade {key[1]} of {key[0]}: not booked by the bot" for key in told if key not in booked]
    words += [f"trade {key[1]} of {key[0]}: unknown to the exchange" for key in booked if key not in told]
    for key, trade in told.items():
        if (mine := booked.get(key)) is not None:
            words += _fill(mine, trade, orders.get(mine.client_id))
    return words


def _fill(mine: f.OrderFilled, trade: SeenFill, order: SeenOrder | None) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("price", mine.price, trade.price),
        ("amount", mine.amount, trade.amount),
        ("fee", mine.fee, trade.fee),
        ("side", mine.side.upper(), trade.side),
        ("maker", mine.maker, trade.maker),
        ("order", order.order_id if order else f"of {mine.client_id}", trade.order_id),
    ]
    if mine.fee or trade.fee:
        pairs.append(("fee's asset", mine.fee_asset, trade.fee_asset))
    return [
        f"trade {trade.trade_id} of {trade.symbol}: {name} {_text(one)} for the bot, {_text(other)} at the exchange"
        for name, one, other in pairs
        if one != other
    ]


# -- balances -----------------------------------------------------------------------------------------


def _balances(books: Books, seen: Picture, begun: Mapping[str, Decimal]) -> list[str]:
    """Return where the ledger, the sum of the journal's fills, and the exchange differ, and locks that are not due."""
    ledger, held = books.state.ledger, _none_left_out(seen.balances)
    words = []
    if books.opened is not None and books.opened.amount != begun.get(books.opened.asset, ZERO):
        words.append(f"the ledger began with {_text(books.opened.amount)}, the account with {_text(begun)}")
    owned = dict(ledger.owned()) if ledger.is_open else {}
    with localcontext(EXACT):
        for asset, amount in begun.items():
            if asset != ledger.quote or not ledger.is_open:
                owned[asset] = owned.get(asset, ZERO) + amount
        summed = dict(begun)
        for fill in books.fills:
            base, _, quote = fill.symbol.partition("/")
            sign = 1 if fill.side is Side.BUY else -1
            moves = (base, sign * fill.amount), (quote, -sign * fill.price * fill.amount), (fill.fee_asset, -fill.fee)
            for asset, amount in moves:
                summed[asset] = summed.get(asset, ZERO) + amount
    for asset in sorted({asset for asset in {*held, *owned, *summed} if asset}):
        total, mine, sums = held.get(asset, Balance(ZERO)).total, owned.get(asset, ZERO), summed.get(asset, ZERO)
        if mine != total:
            words.append(f"{asset}: {_text(mine)} in the bot's ledger, {_text(total)} at the exchange")
        if sums != total:
            words.append(f"{asset}: {_text(sums)} by the journal's fills, {_text(total)} at the exchange")
    return words + _locks(seen, begun)


def _locks(seen: Picture, begun: Mapping[str, Decimal]) -> list[str]:
    """Return the assets of which more or less is locked than the open orders need."""
    due: dict[str, Decimal] = {}
    with localcontext(EXACT):
        for order in filter(is_open, seen.orders):
            left = order.amount - order.executed
            quote = next(asset for asset in begun if order.symbol.endswith(asset))
            base = order.symbol.removesuffix(quote)
            asset, need = (quote, left * order.price) if order.side == "BUY" else (base, left)
            due[asset] = due.get(asset, ZERO) + need
    locked = {asset: balance.locked for asset, balance in seen.balances.items()}
    return [
        f"{asset}: {_text(locked.get(asset, ZERO))} locked, the open orders need {_text(due.get(asset, ZERO))}"
        for asset in sorted({*due, *locked})
        if due.get(asset, ZERO) != locked.get(asset, ZERO)
    ]


def _none_left_out(balances: Mapping[str, Balance]) -> dict[str, Balance]:
    return {asset: balance for asset, balance in balances.items() if balance.total}


def _named(order: SeenOrder) -> str:
    return f"{order.client_id} {order.symbol} (order {order.order_id})"


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(amount)} {asset}" for asset, amount in value.items())
    return str(value)
