"""Which facts does an order's life leave? Sequences as the engine writes them; asked by the tests of reports."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from tradebot.domain import facts as f
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side, TimeInForce

D = Decimal
Timed = list[tuple[int, f.Fact]]


class Story:
    """Writes facts in order, with times a second apart, for one run."""

    def __init__(self, cash: str = "1000", quote: str = "USDT", run: str = "r1") -> None:
        self.facts: Timed = []
        self.now = 1_700_000_000_000
        self._ids = count(1)
        self._trades = count(1)
        self.tell(f.RunOpened(run=run, generation=1))
        self.tell(f.AccountOpened(asset=quote, amount=D(cash)))

    def tell(self, fact: f.Fact) -> None:
        self.now += 1000
        self.facts.append((self.now, fact))

    def intent(self, symbol: str, side: Side) -> int:
        number = next(self._ids)
        self.tell(f.IntentOpened(intent_id=number, symbol=symbol, side=side, reason="drop", generation=1))
        return number

    def plan(self, number: int, symbol: str, side: Side, step: int = 0) -> str:
        client_id = f"t-r1-{number}-{step}"
        self.tell(
            f.OrderPlanned(
                client_id=client_id,
                intent_id=number,
                symbol=symbol,
                side=side,
                type=OrderType.LIMIT,
                tif=TimeInForce.IOC,
                step=step,
                generation=1,
                wait_ms=2000,
            )
        )
        return client_id

    def sent(self, client_id: str, symbol: str, side: Side) -> None:
        self.tell(
            f.OrderSent(
                client_id=client_id,
                symbol=symbol,
                side=side,
                tif=TimeInForce.IOC,
                type=OrderType.LIMIT,
                wait_ms=2000,
            )
        )

    def order(self, number: int, symbol: str, side: Side, step: int = 0) -> str:
        client_id = self.plan(number, symbol, side, step)
        self.sent(client_id, symbol, side)
        return client_id

    def fill(
        self, number: int, symbol: str, side: Side, price: str, amount: str, fee: str = "0", fee_asset: str = "USDT"
    ) -> None:
        self.tell(
            f.OrderFilled(
                client_id=f"t-r1-{number}-0",
                intent_id=number,
                symbol=symbol,
                side=side,
                trade_id=str(next(self._trades)),
                price=D(price),
                amount=D(amount),
                fee=D(fee),
                fee_asset=fee_asset,
                maker=False,
                latency_ms=60,
            )
        )

    def done(self, client_id: str, symbol: str, side: Side, filled: str = "0") -> None:
        self.tell(
            f.OrderDone(
                client_id=client_id,
                symbol=symbol,
                side=side,
                outcome="filled" if D(filled) else "expired",
                filled=D(filled),
                reason="",
            )
        )

    def ended(self, number: int, symbol: str, side: Side, filled: str = "0") -> None:
        self.tell(
            f.IntentEnded(
                intent_id=number,
                symbol=symbol,
                side=side,
                purpose="drop" if side is Side.BUY else "take_profit",
                outcome="filled" if D(filled) else "unfilled",
                reason="",
                filled=D(filled),
                spent=ZERO,
                age_ms=1000,
            )
        )

    def filled_intent(
        self, symbol: str, side: Side, price: str, amount: str, fee: str = "0", fee_asset: str = "USDT"
    ) -> None:
        number = self.intent(symbol, side)
        client_id = self.order(number, symbol, side)
        self.fill(number, symbol, side, price, amount, fee, fee_asset)
        self.done(client_id, symbol, side, amount)
        self.ended(number, symbol, side, amount)

    def closed(self, symbol: str, *, cost: str, proceeds: str, amount: str = "1", fees: str = "0") -> None:
        self.tell(
            f.PositionClosed(
                symbol=symbol,
                reason="take_profit",
                opened_ms=self.now - 5000,
                entry_price=D("100"),
                exit_price=D("110"),
                amount=D(amount),
                cost=D(cost),
                proceeds=D(proceeds),
                fees=D(fees),
                pnl=D(proceeds) - D(cost),
                dust=ZERO,
                generation=1,
            )
        )

    def round_trip(self, symbol: str = "AAA/USDT", entry: str = "100", exit_price: str = "110") -> None:
        """One whole trade of amount 1 with a fee of 0.1 quote on each side."""
        self.filled_intent(symbol, Side.BUY, entry, "1", "0.1")
        self.filled_intent(symbol, Side.SELL, exit_price, "1", "0.1")
        self.closed(symbol, cost=str(D(entry) + D("0.1")), proceeds=str(D(exit_price) - D("0.1")), fees="0.2")
