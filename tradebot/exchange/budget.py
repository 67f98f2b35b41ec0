"""May another request leave? The exchange's own counts and bans; asked before every request over REST.

Request weight belongs to the address that asks, orders to the account: every process of this machine counts in the
same places (`counts`), and reads them before it asks. What protects may use all of a limit; buys are shed first, what
only looks next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import Struct

from tradebot.config.sections.exchange_health import RequestBudget
from tradebot.domain.errors import TradebotError
from tradebot.exchange.counts import ORDERS, RAW, WEIGHT, Counts, PrivateCounts, Sheet, Window
from tradebot.ports import Clock

MINUTE_MS: Final = 60_000
RETRY_AFTER: Final = "retry-after"

Priority = Literal["safety", "exit", "entry", "poll"]
"""A cancel, a query of an own order or a comparison; a sell; a buy; everything that only looks."""

ASKING: ContextVar[Priority | None] = ContextVar("tradebot_asking", default=None)
"""What the request under way is for, None where its instance says so."""

_PAUSE_MS: Final = 5_000  # a 429 that names no time
_BAN_MS: Final = 120_000  # the shortest ban Binance documents, where a 418 names no time
_LONGEST_MS: Final = 3 * 86_400_000  # the longest it documents
_TOO_MANY_ORDERS: Final = "-1015"

_KINDS: Final = {"REQUEST_WEIGHT": WEIGHT, "RAW_REQUESTS": RAW, "ORDERS": ORDERS}
_UNITS_MS: Final = {"SECOND": 1_000, "MINUTE": MINUTE_MS, "HOUR": 3_600_000, "DAY": 86_400_000}
_LETTERS_MS: Final = {"s": 1_000, "m": MINUTE_MS, "h": 3_600_000, "d": 86_400_000}
_TOLD: Final = re.compile(r"x-mbx-(used-weight|order-count)-(\d{1,6})([smhd])", re.IGNORECASE)
_WORDS: Final = {WEIGHT: "request weight is", RAW: "requests are", ORDERS: "orders are"}

_WEIGHTS: Final = {
    "exchangeInfo": 20,
    "account": 20,
    "myTrades": 20,
    "allOrders": 20,
    "order": 4,
    "openOrders": 6,
    "ticker": 4,
    "bookTicker": 4,
    "24hr": 80,
    "depth": 50,
    "aggTrades": 4,
    "trades": 25,
    "klines": 2,
}
"""What a request of Binance's may weigh, by the end of its path; its answer says what it did. Others weigh 1."""


_ALL_OPEN_ORDERS: Final = 80
"""What those of all symbols weigh in one answer."""


class HeldBack(TradebotError):
    """A request was not sent, since the exchange wants none before `until_ms` (our clock)."""

    def __init__(self, why: str, until_ms: int) -> None:
        super().__init__(why)
        self.until_ms = until_ms


class Ticket(Struct, frozen=True):
    """A request that may leave: what it is counted as until it is answered."""

    weight: int
    order: bool


class Budget:
    """Counts what the exchange says is used, and holds requests back while it must.

    A ban (418) and a Retry-After (429) hold back everything of the address, a 429 about orders only the account's
    orders. `address` counts request weight and requests, `account` orders; both may be shared with other processes.
    Source: Binance's REST limits, X-MBX-USED-WEIGHT-*, X-MBX-ORDER-COUNT-*, Retry-After in seconds, bans of 2 minutes
    to 3 days.
    """

    def __init__(
        self,
        clock: Clock,
        settings: RequestBudget | None = None,
        address: Counts | None = None,
        account: Counts | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings or RequestBudget()
        self._address: Counts = address or PrivateCounts()
        self._account: Counts = account or PrivateCounts()
        self.held_back = 0
        """Requests that were not sent."""

    @property
    def closed_until_ms(self) -> int:
        """Until when nothing may be sent."""
        return self._address.read().closed_until_ms

    @property
    def banned(self) -> bool:
        """Whether the last word was a ban."""
        return self._address.read().banned

    @property
    def limit(self) -> int:
        """Request weight a minute; 0 while the exchange has told none."""
        return self._minute().limit

    @property
    def used(self) -> int:
        """Request weight used in the minute of the last answer."""
        return self._minute().used

    def orders_spent_until_ms(self) -> int:
        """Return when a buy may be sent again, 0 where one may be sent now."""
        sheet, now = self._account.read(), self._clock.now_ms()
        full = [one.ends_ms() for one in sheet.windows if self._full(one, 1, "entry", now)]
        return max([*full, sheet.closed_until_ms if sheet.closed_until_ms > now else 0])

    def while_open(self) -> None:
        """Raise HeldBack while the exchange wants nothing at all: opening a socket would make a ban longer, too."""
        sheet, now = self._address.read(), self._clock.now_ms()
        if (held := _closed(sheet, now)) is not None:
            self.held_back += 1
            raise held

    def admit(self, priority: Priority = "poll", weight: int = 1) -> Ticket:
        """Let a request leave; hand what is returned to `done`. Raises HeldBack."""
        now = self._clock.now_ms()
        ticket = Ticket(weight, priority in {"entry", "exit"})

        def take_order(sheet: Sheet) -> HeldBack | None:
            return self._take(sheet, (ORDERS,), 1, priority, now)

        def take_request(sheet: Sheet) -> HeldBack | None:
            return self._take(sheet, (WEIGHT, RAW), weight, priority, now)

        held = self._account.change(take_order) if ticket.order else None
        if held is None:
            held = self._address.change(take_request)
            if held is not None and ticket.order:
                self._account.change(lambda sheet: _settle(sheet, 1, now, used=0))
        if held is not None:
            self.held_back += 1
            raise held
        return ticket

    def done(self, ticket: Ticket, *, answered: bool) -> None:
        """Note that a request is over; one that was not `answered` counts as used."""
        now = self._clock.now_ms()
        self._address.change(lambda sheet: _settle(sheet, ticket.weight, now, used=0 if answered else ticket.weight))
        if ticket.order:
            self._account.change(lambda sheet: _settle(sheet, 1, now, used=0 if answered else 1))

    def note(self, status: int, headers: Mapping[str, str], code: str = "") -> None:
        """Take an answer's status, headers (any case of their names) and the exchange's own code."""
        now = self._clock.now_ms()
        told: dict[int, list[tuple[int, int]]] = {WEIGHT: [], ORDERS: []}
        wait = ""
        for name, value in headers.items():
            found = _TOLD.fullmatch(name)
            if found is not None and value.isdecimal():
                kind = WEIGHT if found[1].lower() == "used-weight" else ORDERS
                told[kind].append((int(found[2]) * _LETTERS_MS[found[3].lower()], int(value)))
            elif name.lower() == RETRY_AFTER:
                wait = value
        if told[WEIGHT]:
            self._address.change(lambda sheet: _tell(sheet, WEIGHT, told[WEIGHT], now))
        if told[ORDERS]:
            self._account.change(lambda sheet: _tell(sheet, ORDERS, told[ORDERS], now))
        if status in {418, 429}:
            wait_ms = min(_seconds_ms(wait) or (_BAN_MS if status == 418 else _PAUSE_MS), _LONGEST_MS)
            closed = self._account if status == 429 and code == _TOO_MANY_ORDERS else self._address
            closed.change(lambda sheet: _close(sheet, now + wait_ms, banned=status == 418))

    def note_limits(self, limits: Sequence[Any]) -> None:
        """Take `rateLimits` of exchangeInfo."""
        known: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
        for each in limits:
            if not isinstance(each, Mapping):
                continue
            kind, unit = _KINDS.get(str(each.get("rateLimitType"))), _UNITS_MS.get(str(each.get("interval")))
            number, limit = each.get("intervalNum"), each.get("limit")
            if kind and unit and isinstance(number, int) and number > 0 and isinstance(limit, int) and limit > 0:
                known[kind == ORDERS].append((kind, number * unit, limit))
        for counts, rows in ((self._account, known[True]), (self._address, known[False])):
            if rows:
                counts.change(lambda sheet, rows=rows: _limit(sheet, rows))  # type: ignore[misc]  # bound at once

    def exits_only(self) -> ExitsOnly:
        """Return the same budget, counted on the same sheets, without a way to buy."""
        return ExitsOnly(self._clock, self._settings, self._address, self._account)

    def _take(self, sheet: Sheet, kinds: tuple[int, ...], weight: int, priority: Priority, now: int) -> HeldBack | None:
        """Count a request that may leave; return what holds it back."""
        if (held := _closed(sheet, now)) is not None:
            return held
        for one in sheet.windows:
            one.roll(now)
            if one.kind in kinds and self._full(one, 1 if one.kind == RAW else weight, priority, now):
                words = f"{one.used + one.pending} of {one.limit} {_WORDS[one.kind]} used"
                return HeldBack(words, one.ends_ms())
        for one in sheet.windows:
            if one.kind == RAW and RAW in kinds:
                one.used += 1
            elif one.kind in kinds:
                one.pending += weight
        return None

    def _full(self, window: Window, weight: int, priority: Priority, now: int) -> bool:
        if not window.limit or now // window.interval_ms > window.index:
            return False
        shares = {"entry": self._settings.entries_pct, "poll": self._settings.polling_pct}
        most = window.limit * shares.get(priority, 100) // 100
        return window.used + window.pending + weight > most

    def _minute(self) -> Window:
        found = (one for one in self._address.read().windows if one.kind == WEIGHT and one.interval_ms == MINUTE_MS)
        return next(found, Window(WEIGHT, MINUTE_MS))


class ExitsOnly(Budget):
    """A budget once the entries are closed: it admits no entry any more."""

    def admit(self, priority: Priority = "poll", weight: int = 1) -> Ticket:
        """Let a request leave that opens nothing. Raises HeldBack."""
        if priority == "entry":
            self.held_back += 1
            raise HeldBack("the entries are closed: the bot is ending", 0)
        return super().admit(priority, weight)


@contextmanager
def asking(priority: Priority) -> Iterator[None]:
    """Let the requests made inside be of this priority."""
    token = ASKING.set(priority)
    try:
        yield
    finally:
        ASKING.reset(token)


def weight_of(url: str) -> int:
    """Return what a request to this address may weigh."""
    path, _, query = url.partition("?")
    name = path.rpartition("/")[2]
    return _ALL_OPEN_ORDERS if name == "openOrders" and "symbol=" not in query else _WEIGHTS.get(name, 1)


def weight_of_open_orders(symbols: int) -> int:
    """Return what asking for the open orders of so many symbols weighs: of each alone, or of all in one answer."""
    return min(symbols * _WEIGHTS["openOrders"], _ALL_OPEN_ORDERS)


def one_by_one(symbols: int) -> bool:
    """Whether asking for the open orders of so many symbols one by one weighs no more than asking for all."""
    return symbols * _WEIGHTS["openOrders"] <= _ALL_OPEN_ORDERS


def _settle(sheet: Sheet, weight: int, now: int, *, used: int) -> None:
    """Take a request off what is pending, where its window has not ended."""
    for one in sheet.windows:
        one.roll(now)
        if one.kind != RAW:
            one.pending = max(0, one.pending - weight)
            one.used += used


def _tell(sheet: Sheet, kind: int, told: Sequence[tuple[int, int]], now: int) -> None:
    """Take the exchange's own counts: its weight only grows within a window, its orders may shrink by fills."""
    for interval_ms, used in told:
        window = sheet.window(kind, interval_ms)
        if window is not None:
            window.roll(now)
            window.used = max(window.used, used) if kind == WEIGHT else used


def _limit(sheet: Sheet, rows: Sequence[tuple[int, int, int]]) -> None:
    for kind, interval_ms, limit in rows:
        window = sheet.window(kind, interval_ms)
        if window is not None:
            window.limit = limit


def _closed(sheet: Sheet, now: int) -> HeldBack | None:
    """Return what holds everything back, None where requests may leave."""
    closed = sheet.closed_until_ms
    if not now < closed <= now + _LONGEST_MS:
        return None
    why = "banned by the exchange" if sheet.banned else "the exchange asked for a pause"
    return HeldBack(f"{why} until {datetime.fromtimestamp(closed / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC", closed)


def _close(sheet: Sheet, until_ms: int, *, banned: bool) -> None:
    """Hold back everything until then; a shorter word does not end a longer one."""
    if until_ms >= sheet.closed_until_ms:
        sheet.closed_until_ms, sheet.banned = until_ms, banned


def _seconds_ms(text: str) -> int:
    try:
        return max(0, round(float(text) * 1000))
    except (ValueError, OverflowError):
        return 0
