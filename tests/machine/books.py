"""What do the facts alone say: booked fills, ends of orders, and whether anything may be bought? Asked by the checks.

It is a second reading of the journal, made without the engine's own rules, so that both can be wrong only apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tests.machine.far import Far
from tradebot.domain import facts as f
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Side


class Broken(AssertionError):
    """A promise is broken; the text says which."""


class Books:
    """Follows the facts of every run; `Broken` is raised at the first that must not be."""

    def __init__(self, far: Far) -> None:
        self._far = far
        self.booked: dict[tuple[str, str], f.OrderFilled] = {}
        self.plans: dict[str, f.OrderPlanned] = {}
        self.ends: dict[str, str] = {}
        """How the bot says that each order ended."""
        self.adopted: dict[str, Decimal] = {}
        """What the ledger took over of each asset by an operator's word."""
        self.paused = self.flattening = False
        self.trading = False
        self.entries_open = True
        self.venue = "up"
        self.clock = "right"

    def take(self, facts: Iterable[f.Fact]) -> None:
        """Follow facts. Raises Broken."""
        for fact in facts:
            self._take(fact)

    def _take(self, fact: f.Fact) -> None:
        match fact:
            case f.OrderFilled():
                self._fill(fact)
            case f.OrderPlanned():
                self._plan(fact)
            case f.IntentOpened(side=Side.BUY):
                if self.venue not in {"up", "degraded"} or self.clock == "wrong":
                    raise Broken(f"a buy of {fact.symbol} begins at a venue {self.venue}, the clock {self.clock}")
                self._may_buy(f"a buy of {fact.symbol} begins")
            case f.DriftSeen():
                self._drift(fact)
            case f.DriftAdopted():
                self.adopted[fact.asset] = self.adopted.get(fact.asset, ZERO) + fact.change
            case f.RivalNoticed():
                raise Broken(f"{fact.client_id} is held to be another bot's, and there is none")
            case f.OrderDone():
                self._end(fact.client_id, fact.outcome)
            case f.OrderRejected():
                self._end(fact.client_id, "rejected")
            case f.OrderNeverSent():
                self._end(fact.client_id, "never sent")
            case _:
                self._gate(fact)

    def _gate(self, fact: f.Fact) -> None:
        match fact:
            case f.RunOpened():
                self.trading, self.entries_open = False, True
            case f.RecoveryCompleted():
                self.trading = True
            case f.EntriesClosed():
                self.entries_open = False
            case f.BuyingPaused():
                self.paused = True
            case f.BuyingResumed():
                self.paused = self.flattening = False
            case f.FlattenBegun():
                self.flattening = True
            case f.FlattenDone():
                self.flattening = False
            case f.VenueStateChanged():
                self.venue = fact.state
            case f.ClockJudged():
                self.clock = fact.state
            case _:
                pass

    def _drift(self, fact: f.DriftSeen) -> None:
        if fact.found < fact.owned and fact.asset not in self._far.taken:
            raise Broken(f"{fact.owned} {fact.asset} is owned, {fact.found} said to be left, and nobody took any")

    def _may_buy(self, what: str) -> None:
        if not self.trading or self.paused or self.flattening or not self.entries_open:
            raise Broken(
                f"{what} though trading is {self.trading}, paused {self.paused}, flattening {self.flattening}, "
                f"entries open {self.entries_open}"
            )

    def _plan(self, fact: f.OrderPlanned) -> None:
        if fact.client_id in self.plans:
            raise Broken(f"the client id {fact.client_id} is planned a second time")
        if fact.side is Side.BUY:
            self._may_buy(f"{fact.client_id} is planned")
        self.plans[fact.client_id] = fact

    def _end(self, client_id: str, how: str) -> None:
        if client_id in self.ends:
            raise Broken(f"{client_id} ended as {self.ends[client_id]}, and again as {how}")
        self.ends[client_id] = how

    def _fill(self, fact: f.OrderFilled) -> None:
        key = fact.symbol, fact.trade_id
        if key in self.booked:
            raise Broken(f"trade {fact.trade_id} of {fact.symbol} is booked twice")
        trade = self._far.trades.get(key)
        if trade is None:
            raise Broken(f"trade {fact.trade_id} of {fact.symbol} was never made")
        real = (self._far.client_of[trade.order_id], trade.price, trade.amount, trade.fee, trade.fee_asset, trade.maker)
        told = (fact.client_id, fact.price, fact.amount, fact.fee, fact.fee_asset, fact.maker)
        if real != told:
            raise Broken(f"trade {fact.trade_id} of {fact.symbol} was {real}, and is booked as {told}")
        self.booked[key] = fact
