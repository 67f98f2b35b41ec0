"""What does the simulated account hold, and what of it changed? Asked by the matching core and the paper venue."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from tradebot.domain.account import AccountDelta, AccountImage, AccountOrder
from tradebot.domain.events import FillReported
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Balance

LIVE: Final = frozenset({"pending", "open"})

_NOTHING: Final = Balance(ZERO)


class Account:
    """Balances, orders and fills, with what changed since the last delta.

    Ended orders are kept for queries up to `keep_orders`; of older ones only their ids are known.
    """

    def __init__(self, image: AccountImage, keep_orders: int) -> None:
        self.balances: dict[str, Balance] = dict(image.balances)
        self.orders: dict[str, AccountOrder] = {key: replace(order) for key, order in image.orders.items()}
        self.fills: dict[str, list[FillReported]] = {}
        self.next_order = image.next_order
        self.next_trade = image.next_trade
        self.requests = image.requests
        self._keep_orders = keep_orders
        self._ended: deque[AccountOrder] = deque()
        self._forgotten: set[str] = set()
        self._assets: set[str] = set()
        self._touched: dict[str, AccountOrder] = {}
        self._aged: dict[str, AccountOrder] = {}
        self._new_fills: list[FillReported] = []
        self._counted = self.requests
        for fill in image.fills:
            self.fills.setdefault(fill.client_id, []).append(fill)
        for order in self.orders.values():
            self._disown_earlier_fills(order)
            if order.status not in LIVE:
                self._ended.append(order)
        self._prune()

    @classmethod
    def opened(cls, asset: str, amount: Decimal, keep_orders: int) -> Account:
        """Return a new account that holds `amount` of `asset`; its first delta says so."""
        account = cls(AccountImage(), keep_orders)
        account.move(asset, free=amount)
        return account

    def free(self, asset: str) -> Decimal:
        """Return what of `asset` can be used."""
        return self.balances.get(asset, _NOTHING).free

    def move(self, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        """Add to what is free and what is locked of `asset`."""
        before = self.balances.get(asset, _NOTHING)
        self.balances[asset] = Balance(before.free + free, before.locked + locked)
        self._assets.add(asset)

    def count_request(self) -> int:
        """Return the number of the request that came now."""
        number = self.requests
        self.requests += 1
        return number

    def take_in(self, order: AccountOrder) -> None:
        """Hold a new order. An id that ended may come again: from here on it means the new order."""
        self.next_order += 1
        self.orders.pop(order.client_id, None)
        self.orders[order.client_id] = order
        self.fills.pop(order.client_id, None)
        self._forgotten.discard(order.client_id)
        self.touch(order)

    def book(self, fill: FillReported) -> None:
        """Keep a fill of an order."""
        self.next_trade += 1
        self.fills.setdefault(fill.client_id, []).append(fill)
        self._new_fills.append(fill)

    def touch(self, order: AccountOrder) -> None:
        """Mark `order` as changed."""
        self._touched[order.client_id] = order

    def age(self, order: AccountOrder) -> None:
        """Mark that only the queue before `order` became shorter, which alone is not worth a write."""
        self._aged[order.client_id] = order

    def retire(self, order: AccountOrder) -> None:
        """Mark `order`, which ended, as changed, and let go of the oldest ended ones."""
        self.touch(order)
        self._ended.append(order)
        self._prune()

    def knew(self, client_id: str) -> bool:
        """Whether an order of this id existed that is not held any more."""
        return client_id in self._forgotten

    def image(self) -> AccountImage:
        """Return a copy of everything held."""
        fills = [fill for fills in self.fills.values() for fill in fills]
        return AccountImage(
            balances=dict(self.balances),
            orders={key: replace(order) for key, order in self.orders.items()},
            fills=sorted(fills, key=lambda fill: int(fill.trade_id)),
            next_order=self.next_order,
            next_trade=self.next_trade,
            requests=self.requests,
        )

    def take_delta(self, *, everything: bool = False) -> AccountDelta | None:
        """Return what changed since the last call, or None; `everything` includes queue positions alone."""
        if everything:
            self._touched = self._aged | self._touched
        if not (self._touched or self._assets or self._new_fills or self._counted != self.requests):
            return None
        changed = self._aged | self._touched
        delta = AccountDelta(
            balances={asset: self.balances[asset] for asset in sorted(self._assets)},
            orders={key: replace(order) for key, order in changed.items()},
            fills=self._new_fills,
            next_order=self.next_order,
            next_trade=self.next_trade,
            requests=self.requests,
        )
        self._assets.clear()
        self._touched = {}
        self._aged = {}
        self._new_fills = []
        self._counted = self.requests
        return delta

    def _disown_earlier_fills(self, order: AccountOrder) -> None:
        """Keep of an id's fills those of its last order: the id may have been used before."""
        fills = self.fills.get(order.client_id, [])
        surplus = sum((fill.amount for fill in fills), ZERO) - order.filled
        while fills and surplus > ZERO:
            surplus -= fills.pop(0).amount

    def _prune(self) -> None:
        while len(self._ended) > self._keep_orders:
            oldest = self._ended.popleft()
            if self.orders.get(oldest.client_id) is oldest:
                del self.orders[oldest.client_id]
                self.fills.pop(oldest.client_id, None)
                self._forgotten.add(oldest.client_id)
