"""Which promises hold at every moment, and which once all is quiet? Asked by the machine's world after each step.

What is compared is the exchange's own truth, which the bot cannot see, with what the bot has written down and holds.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, localcontext

import msgspec

from tests.machine.books import Books, Broken
from tests.machine.bot import Bot, worst_quote
from tests.machine.disk import Disk
from tests.machine.far import BALANCES, PAIRS, Far, FarOrder, flows
from tests.machine.network import Network, Request
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.domain.orders import Order, OrderState
from tradebot.engine.state import EngineState

_NEVER_THERE = {OrderState.ABSENT, OrderState.REJECTED, OrderState.NEVER_SENT}
_encoder = msgspec.json.Encoder(decimal_format="string")


class Possible:
    """An own order that exists or may come to: what may still be sold (base) or cost (quote) beyond what is
    booked."""

    __slots__ = ("alive", "base", "client_id", "quote", "side", "symbol")

    def __init__(self, client_id: str, symbol: str, side: str, base: Decimal, quote: Decimal, *, alive: bool) -> None:
        self.alive = alive
        self.client_id = client_id
        self.symbol = symbol
        self.side = side
        self.base = base
        self.quote = quote


class Checks:
    """Looks at one world. Orders that are settled on both sides are not looked at again."""

    def __init__(self, far: Far, network: Network, disk: Disk, books: Books) -> None:
        self._far = far
        self._network = network
        self._disk = disk
        self._books = books
        self._settled: set[str] = set()

    def forget(self) -> None:
        """Look at every order again: facts were lost."""
        self._settled.clear()

    # -- when a request leaves ------------------------------------------------------------------------------

    def sent(self) -> None:
        """Check every place that has left: planned durably before, and sent once. Raises Broken."""
        for client_id, requests in self._network.placed.items():
            if client_id in self._settled:
                continue
            if self._disk.planned.get(client_id, 2**62) > self._disk.durable_seq:
                raise Broken(f"{client_id} left though its plan is not durable")
            again = [one for one in requests[:-1] if not _refused_for_its_time(one)]
            if again:
                raise Broken(f"{client_id} was sent {len(requests)} times")

    # -- at every moment ----------------------------------------------------------------------------------------

    def holds(self, bot: Bot | None) -> None:
        """Check what holds at every moment. Raises Broken."""
        self.sent()
        possible = self.possible(bot)
        self._one_at_a_time(possible)
        if bot is None:
            return
        if bot.broken or bot.loop.faults:
            raise Broken(f"the bot broke: {[*bot.broken, *bot.loop.faults]}")
        state = bot.engine.state
        for each in possible:
            if each.client_id not in state.orders and (order := state.ended.get(each.client_id)) is not None:
                if order.state in _NEVER_THERE or each.base or each.quote:
                    raise Broken(f"{each.client_id} is held to be {order.state} though it may be filled")
            elif each.client_id not in state.orders:
                raise Broken(f"{each.client_id} may be filled and is not known any more")
        self._covered(state, possible)
        self._owned(state, possible)

    def possible(self, bot: Bot | None) -> list[Possible]:
        """Return every own order that exists, or may come to exist, and is not settled."""
        found = []
        for client_id, orders in self._far.own.items():
            if client_id in self._settled:
                continue
            if len(orders) > 1:
                raise Broken(f"{client_id} is at the exchange {len(orders)} times")
            known = bot.engine.state.order(client_id) if bot else None
            if self._is_settled(orders[0], known):
                self._settled.add(client_id)
                continue
            found.append(_possible(orders[0], known))
        for request in self._network.requests:
            if request.kind == "place" and self._network.may_arrive(request):
                what = request.what
                side, base = what["side"], Decimal(what["amount"] or 0)
                quote = worst_quote(request) if side == "BUY" else ZERO
                found.append(Possible(request.client_id, what["symbol"], side, base, quote, alive=True))
        return found

    def _is_settled(self, order: FarOrder, known: Order | None) -> bool:
        if order.alive or known is None or known.filled != order.executed or not known.state.terminal:
            return False
        if known.state in _NEVER_THERE:
            raise Broken(f"{order.client_id} is held to be {known.state}, and was at the exchange")
        return True

    def _one_at_a_time(self, possible: list[Possible]) -> None:
        alive = Counter(each.symbol for each in possible if each.alive)
        if alive and alive.most_common(1)[0][1] > 1:
            names = [each.client_id for each in possible if each.alive]
            raise Broken(f"several orders of one symbol may be filled: {names}")

    def _covered(self, state: EngineState, possible: list[Possible]) -> None:
        """Check that every buy that may cost something has that much reserved, and all together."""
        whole = ZERO
        for each in possible:
            if each.side != "BUY" or not each.quote:
                continue
            order = state.order(each.client_id)
            intent = state.intents.get(order.intent_id) if order else None
            if intent is None:
                raise Broken(f"{each.client_id} may cost {each.quote} more, and nothing is reserved")
            if intent.reserved - intent.spent < each.quote:
                raise Broken(f"{each.client_id} may cost {each.quote}, reserved is {intent.reserved - intent.spent}")
            whole += each.quote
        if state.outstanding() < whole:
            raise Broken(f"buys may cost {whole}, reserved for all is {state.outstanding()}")
        if state.ledger.is_open and state.outstanding() > state.ledger.cash:
            raise Broken(f"{state.outstanding()} is promised of {state.ledger.cash}")

    def _owned(self, state: EngineState, possible: list[Possible]) -> None:
        """Check that no sell can take more than is owned."""
        for symbol in PAIRS:
            selling = sum((each.base for each in possible if each.side == "SELL" and each.symbol == symbol), ZERO)
            position = state.ledger.positions.get(symbol)
            if selling and (position is None or position.amount < selling):
                raise Broken(f"{selling} of {symbol} is being sold, owned is {position.amount if position else ZERO}")

    # -- now and then ------------------------------------------------------------------------------------------

    def replays(self, bot: Bot, mirror: EngineState) -> None:
        """Check that the facts, read back from their bytes, give the state that the engine holds. Raises Broken."""
        mine, its = _encoder.encode(mirror), _encoder.encode(bot.engine.state)
        if mine != its:
            raise Broken(f"the facts give another state: {_difference(mine, its)}")

    # -- at the end --------------------------------------------------------------------------------------------

    def agree(self, bot: Bot) -> None:
        """Check that nothing is unknown, and that bot and exchange are equal to the last unit. Raises Broken."""
        state, far = bot.engine.state, self._far
        if state.orders:
            raise Broken(f"orders are still not settled: {[(o.client_id, o.state) for o in state.orders.values()]}")
        self._orders_agree()
        for key in far.trades.keys() - self._books.booked.keys():
            raise Broken(f"trade {key[1]} of {key[0]} by {far.client_of[far.trades[key].order_id]} is not booked")
        owned = state.ledger.owned()
        with localcontext(EXACT):
            moved = dict(self._books.adopted)
            moved["USDT"] = moved.get("USDT", ZERO) + state.ledger.opened
            really = {asset: amount + far.foreign.get(asset, ZERO) for asset, amount in BALANCES.items()}
            for (symbol, _), trade in far.trades.items():
                for asset, amount in flows(trade, symbol).items():
                    moved[asset] = moved.get(asset, ZERO) + amount
                    really[asset] = really.get(asset, ZERO) + amount
        for asset in sorted({*owned, *moved}):
            if owned.get(asset, ZERO) != moved.get(asset, ZERO):
                raise Broken(f"of {asset} the ledger has {owned.get(asset, ZERO)}, by its trades {moved.get(asset)}")
        for asset, amount in really.items():
            if far.total(asset) != amount:
                raise Broken(f"of {asset} the exchange has {far.total(asset)}, by what happened {amount}")

    def _orders_agree(self) -> None:
        far, books = self._far, self._books
        for client_id, (order, *_) in far.own.items():
            if order.alive:
                raise Broken(f"{client_id} is open at the exchange, and nobody knows it")
            told = books.ends.get(client_id)
            real = {"FILLED": "filled", "CANCELED": "canceled"}.get(order.status, "expired")
            if told != real:
                raise Broken(f"{client_id} ended as {real}, by the bot as {told}")
        for client_id, told in books.ends.items():
            if client_id not in far.own and told not in {"absent", "rejected", "never sent"}:
                raise Broken(f"{client_id} ended as {told}, and was never at the exchange")
        for client_id in books.plans.keys() - books.ends.keys():
            raise Broken(f"{client_id} was planned and never ended")


def _refused_for_its_time(request: Request) -> bool:
    """Whether the exchange has said that it did not look at a request: the one that may leave again."""
    if request.told:
        return request.told == "-1021"
    answer = request.answer
    return answer is not None and answer.status == 400 and answer.body["code"] == -1021


def _possible(order: FarOrder, known: Order | None) -> Possible:
    booked, paid = (known.filled, known.cost) if known else (ZERO, ZERO)
    if order.side == "SELL":
        whole = order.amount if order.alive else order.executed
        return Possible(order.client_id, order.symbol, "SELL", whole - booked, ZERO, alive=order.alive)
    whole = order.worst_quote if order.alive else order.cost
    base = (order.amount if order.alive else order.executed) - booked
    quote = max(ZERO, whole - paid)
    return Possible(order.client_id, order.symbol, "BUY", base, quote, alive=order.alive)


def _difference(mine: bytes, its: bytes) -> str:
    one, other = msgspec.json.decode(mine), msgspec.json.decode(its)
    return "; ".join(f"{key}: {one[key]} against {other[key]}" for key in one if one[key] != other[key])[:1_000]
