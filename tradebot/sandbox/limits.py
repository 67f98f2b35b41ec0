"""Who asks too much? Asked before every request, and told in every answer's headers.

Request weight and raw requests are counted by address, in windows of the clock; orders by account, and a count goes
back when its order is filled for the first time. Who goes on asking while refused is banned, each time twice as long:
two minutes to three days, shortened where the exchange's day is. Rules: Binance spot API, "Limits".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from tradebot.sandbox.orders import AccountEvent, ExecutionReport
from tradebot.sandbox.wire_errors import banned, too_many_orders, too_much_weight

DAY_S: Final = 86_400
FIRST_BAN_S: Final = 120
LONGEST_BAN_S: Final = 3 * DAY_S
PATIENCE: Final = 5
"""So many requests in a row may come while refused before the address is banned."""

_SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": DAY_S}
_LETTERS: Final = {"SECOND": "S", "MINUTE": "M", "HOUR": "H", "DAY": "D"}
_MOST_COUNTED: Final = 10_000


class Limit(Struct, frozen=True):
    """One of exchangeInfo's rate limits."""

    kind: str
    interval: str
    number: int
    most: int
    window_ms: int

    @property
    def letters(self) -> str:
        """The interval as headers name it: 1M, 10S."""
        return f"{self.number}{_LETTERS[self.interval]}"

    @property
    def words(self) -> str:
        """The interval as refusals name it."""
        return f"{self.number} {self.interval}"


class _Counts:
    """How much each of some names used of one limit in the present window."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._window = -1
        self._used: dict[str, int] = {}

    def used(self, name: str, now_ms: int) -> int:
        window = now_ms // self.limit.window_ms
        if window != self._window or len(self._used) > _MOST_COUNTED:
            self._window = window
            self._used.clear()
        return self._used.get(name, 0)

    def add(self, name: str, number: int, now_ms: int) -> int:
        used = max(0, self.used(name, now_ms) + number)
        self._used[name] = used
        return used

    def ends_in_s(self, now_ms: int) -> int:
        return max(1, -(-(self.limit.window_ms - now_ms % self.limit.window_ms) // 1000))


class _Ban(Struct):
    until_ms: int = 0
    length_s: float = 0.0
    refused: int = 0


class Limits:
    """The rate limits of exchangeInfo, and what was used of them."""

    def __init__(self, rate_limits: Iterable[Mapping[str, Any]], day_s: float = DAY_S) -> None:
        self._pace = day_s / DAY_S
        limits = [_limit(each, day_s) for each in rate_limits]
        self._by_address = [_Counts(each) for each in limits if each.kind in {"REQUEST_WEIGHT", "RAW_REQUESTS"}]
        self._by_account = [_Counts(each) for each in limits if each.kind == "ORDERS"]
        self._bans: dict[str, _Ban] = {}
        self._unfilled: dict[str, set[int]] = {}

    def ask(self, address: str, weight: int, now_ms: int) -> None:
        """Count a request. Raises ApiError where the address is banned or used too much."""
        ban = self._bans.get(address)
        if ban is not None and now_ms < ban.until_ms:
            raise banned(ban.until_ms, max(1, -(-(ban.until_ms - now_ms) // 1000)))
        for counts in self._by_address:
            used = counts.add(address, 1 if counts.limit.kind == "RAW_REQUESTS" else weight, now_ms)
            if used > counts.limit.most:
                raise self._refuse(address, counts, now_ms)
        if ban is not None:
            ban.refused = 0

    def _refuse(self, address: str, counts: _Counts, now_ms: int) -> Exception:
        if len(self._bans) >= _MOST_COUNTED:
            self._bans.clear()
        ban = self._bans.setdefault(address, _Ban())
        ban.refused += 1
        if ban.refused <= PATIENCE:
            return too_much_weight(counts.limit.most, counts.limit.words, counts.ends_in_s(now_ms))
        ban.refused = 0
        ban.length_s = min(ban.length_s * 2 or FIRST_BAN_S * self._pace, LONGEST_BAN_S * self._pace)
        ban.until_ms = now_ms + max(1, round(ban.length_s * 1000))
        return banned(ban.until_ms, max(1, -(-(ban.until_ms - now_ms) // 1000)))

    def ask_order(self, account: str, now_ms: int) -> None:
        """Raise ApiError where an account has placed too many orders that were not filled."""
        for counts in self._by_account:
            if counts.used(account, now_ms) >= counts.limit.most:
                raise too_many_orders(counts.limit.most, counts.limit.words, counts.ends_in_s(now_ms))

    def hear(self, account: str, event: AccountEvent) -> None:
        """Count an account's new orders, and give the count of an order back with its first fill."""
        if not isinstance(event, ExecutionReport):
            return
        unfilled = self._unfilled.setdefault(account, set())
        if event.execution == "NEW":
            unfilled.add(event.order_id)
            self._count(account, 1, event.at_ms)
        elif event.execution == "TRADE" and event.order_id in unfilled:
            unfilled.remove(event.order_id)
            self._count(account, -1, event.at_ms)
        elif event.execution != "TRADE":
            unfilled.discard(event.order_id)

    def _count(self, account: str, number: int, now_ms: int) -> None:
        for counts in self._by_account:
            counts.add(account, number, now_ms)

    def headers(self, address: str, account: str, now_ms: int, *, orders: bool = False) -> dict[str, str]:
        """Return the headers that tell what was used; `orders` adds the account's unfilled orders."""
        told: dict[str, str] = {}
        for counts in self._by_address:
            if counts.limit.kind == "REQUEST_WEIGHT":
                used = str(counts.used(address, now_ms))
                told |= {"X-MBX-USED-WEIGHT": used, f"X-MBX-USED-WEIGHT-{counts.limit.letters}": used}
        if orders:
            for counts in self._by_account:
                told[f"X-MBX-ORDER-COUNT-{counts.limit.letters}"] = str(counts.used(account, now_ms))
        return told

    def told(self, address: str, account: str, now_ms: int, *, orders: bool = False) -> list[dict[str, Any]]:
        """Return the limits with what was used of them, as the ws-api tells them in every answer."""
        rows = [_row(counts, address, now_ms) for counts in self._by_address if counts.limit.kind == "REQUEST_WEIGHT"]
        return rows + (self.orders(account, now_ms) if orders else [])

    def orders(self, account: str, now_ms: int) -> list[dict[str, Any]]:
        """Return the limits of orders with what an account used of them."""
        return [_row(counts, account, now_ms) for counts in self._by_account]


def _row(counts: _Counts, name: str, now_ms: int) -> dict[str, Any]:
    limit = counts.limit
    return {
        "rateLimitType": limit.kind,
        "interval": limit.interval,
        "intervalNum": limit.number,
        "limit": limit.most,
        "count": counts.used(name, now_ms),
    }


def _limit(row: Mapping[str, Any], day_s: float) -> Limit:
    interval, number = str(row["interval"]), int(row.get("intervalNum", 1))
    seconds = number * (day_s if interval == "DAY" else _SECONDS[interval])
    return Limit(str(row["rateLimitType"]), interval, number, int(row["limit"]), max(1, round(seconds * 1000)))
