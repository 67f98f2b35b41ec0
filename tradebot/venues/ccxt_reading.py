"""What does an account at an exchange say of own orders? Asked where nothing may be changed: every request is a GET."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.account import AccountImage, AccountOrder
from tradebot.domain.commands import QueryBalances, ReconcileOrders
from tradebot.domain.errors import CannotStart, ExchangeAway, ExitCode
from tradebot.domain.events import BalancesReported, BalancesUnavailable, Event, FillReported
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import EXACT, ZERO, exact
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.exchange.away import in_words, is_away
from tradebot.exchange.budget import Budget, asking
from tradebot.exchange.capabilities import capabilities_of
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.instruments import instruments_of
from tradebot.exchange.outcomes import Failure, NeverSent, Unknown
from tradebot.exchange.parsing import SeenFill, SeenOrder, Unreadable, order_of
from tradebot.exchange.permissions import refused_key
from tradebot.exchange.requests import Requests
from tradebot.ports import Clock
from tradebot.venues.ccxt_lookups import Lookups, cause_of
from tradebot.venues.ccxt_orders import OwnOrders
from tradebot.venues.ccxt_together import Together

_MARGIN_MS: Final = 60_000
_PAGE: Final = 1_000
_MOST_PAGES: Final = 200


class Reading:
    """An account that is only asked. Raises CannotStart where the exchange does not answer."""

    def __init__(self, exchange: Any, settings: Exchange, credentials: Credentials, prefix: str, clock: Clock) -> None:
        self._exchange = exchange
        self._dialect = dialect_of(settings.name)
        self._name = settings.name
        self._clock = clock
        self.offset = ClockOffset(exchange.fetch_time, clock)
        self._orders = OwnOrders(self.offset, prefix)
        self._requests = Requests(exchange, credentials, capabilities_of(exchange))
        self._events: list[Event] = []
        self._halted: dict[str, str] = {}
        self._together = Together(
            self._orders, Lookups(self._orders, self.offset, settings, clock), self._requests, self.offset, clock,
            self._events.append, self._on_halted, settings.lookups_at_once,
        )  # fmt: skip
        self.instruments: Sequence[Instrument] = ()

    async def begin(self, quote: str) -> None:
        """Ask for the markets and the time."""
        try:
            self.instruments = instruments_of(await self._exchange.load_markets(), quote)
            await self.offset.measure(3)
        except Exception as error:  # noqa: BLE001 - the border to ccxt: what is wrong is said without its texts
            words = type(error).__name__
            raise CannotStart(f"{self._name} does not answer ({words}); --offline leaves it out") from None
        self.offset.apply_to(self._exchange)

    async def answer(self, questions: Sequence[ReconcileOrders | QueryBalances]) -> list[Event]:
        """Return what the exchange answers."""
        self._events.clear()
        for question in questions:
            if isinstance(question, ReconcileOrders):
                await self._together.answer(question)
                continue
            found = await self._requests.balances()
            now = self._clock.now_ms()
            failed = isinstance(found, Failure)
            self._events.append(
                BalancesUnavailable(cause_of(found), now)
                if isinstance(found, Failure)
                else BalancesReported(found, now)
            )
            if failed:
                break
        return list(self._events)

    async def strangers(self, known: Collection[str]) -> list[str]:
        """Return own open orders that are not among `known`. Raises CannotStart where not all that is open is told."""
        with asking("safety"):
            listed = await self._requests.everything_open(())
        if isinstance(listed, Failure):
            untold = CannotStart(f"{self._name}: its open orders are not told ({cause_of(listed)})")
            raise refused_key(self._name, listed) or untold
        return sorted(
            seen.client_id for seen in listed if self._orders.owns(seen.client_id) and seen.client_id not in known
        )

    async def own_before(self, quote: str) -> str:
        """Return an own order of an earlier run that still matters, "" where there is none.

        That is one that is open, or one of a symbol of which the account holds something. Raises CannotStart.
        """
        if left := await self.strangers(()):
            return left[0]
        with asking("safety"):
            held = await self._requests.balances()
            if isinstance(held, Failure):
                untold = CannotStart(f"{self._name}: the balances are not told ({cause_of(held)})")
                raise refused_key(self._name, held) or untold
            for one in self.instruments:
                if one.base not in held or one.base == quote:
                    continue
                listed = await self._requests.recent_orders(one.symbol, None)
                if isinstance(listed, Failure):
                    raise CannotStart(f"{self._name}: the orders of {one.symbol} are not told ({cause_of(listed)})")
                for seen in listed:
                    if self._orders.owns(seen.client_id) and seen.filled:
                        return seen.client_id
        return ""

    async def history(self, symbols: Collection[str], since_ms: int) -> AccountImage:
        """Return the own orders of some symbols that began at `since_ms` or later, every own trade since, and balances.

        `since_ms` 0 asks for all there is. Raises CannotStart (exit code 5) where the exchange does not tell all of it,
        ExchangeAway where it does not answer.
        """
        image = AccountImage()
        since = max(0, since_ms - self.offset.offset_ms - _MARGIN_MS) if since_ms else 0
        for symbol in sorted(symbols):
            rows = await self._order_rows(symbol, since)
            own = {str(row.get("id")): seen for row in rows if (seen := self._own(row, symbol)) is not None}
            image.orders.update((order.client_id, order) for order in own.values())
            trades = await self._requests.trades(symbol, after_id=None if since else 0, since_ms=since or None)
            if isinstance(trades, Failure):
                raise self._untold(f"trades of {symbol}: {cause_of(trades)}", away=_passes(trades))
            if self._requests.may_go_on(trades):
                raise self._untold(f"trades of {symbol}: more than can be told at once")
            image.fills += [self._fill(fill, own[fill.venue_id]) for fill in trades if fill.venue_id in own]
            before = {fill.venue_id for fill in trades if fill.venue_id not in own}
            older = {venue_id: await self._older(symbol, venue_id) for venue_id in sorted(before)}
            image.fills += [
                self._fill(fill, order) for fill in trades if (order := older.get(fill.venue_id)) is not None
            ]
        held = await self._requests.balances()
        if isinstance(held, Failure):
            raise refused_key(self._name, held) or self._untold(f"balances: {cause_of(held)}", away=_passes(held))
        image.balances = held
        image.fills.sort(key=lambda fill: (fill.at_ms, len(fill.trade_id), fill.trade_id))
        return image

    async def _order_rows(self, symbol: str, since: int) -> list[Mapping[str, Any]]:
        rows: dict[str, Mapping[str, Any]] = {}
        params: dict[str, Any] = {} if since else {"orderId": 0}
        start: int | None = since or None
        for _ in range(_MOST_PAGES):
            try:
                page = await self._exchange.fetch_orders(symbol, start, _PAGE, params)
            except Exception as error:  # noqa: BLE001 - the border to ccxt: what is wrong is said without its texts
                raise self._untold(f"orders of {symbol}: {in_words(error)}", away=is_away(error)) from None
            rows.update((str(row["id"]), row) for row in page)
            if len(page) < _PAGE:
                return list(rows.values())
            if not str(page[-1]["id"]).isdecimal():
                break
            params, start = {"orderId": max(int(row["id"]) for row in page) + 1}, None
        raise self._untold(f"orders of {symbol}: more than can be told page by page")

    def _own(self, row: Mapping[str, Any], symbol: str) -> AccountOrder | None:
        try:
            seen = order_of(row, symbol, self._dialect)
        except Unreadable as error:
            raise self._untold(f"an order of {symbol}: {error}") from error
        if not self._orders.owns(seen.client_id):
            return None
        limit = str(row.get("type")) == "limit"
        tif = "PO" if row.get("postOnly") else str(row.get("timeInForce") or "GTC")
        return AccountOrder(
            client_id=seen.client_id,
            venue_id=seen.venue_id,
            symbol=symbol,
            side=Side(str(row["side"])),
            type=OrderType.LIMIT if limit else OrderType.MARKET,
            tif=TimeInForce(tif) if limit else TimeInForce.IOC,
            arrives_ms=self.offset.local_ms(int(row.get("timestamp") or 0), self._clock.now_ms()),
            price=_number(row.get("price")) if limit else ZERO,
            amount=_number(row.get("amount")),
            status=seen.status or "open",
            filled=seen.filled,
            cost=_number(row.get("cost")),
        )

    async def _older(self, symbol: str, venue_id: str) -> AccountOrder | None:
        """Return an order that began before the time asked for, None where it is not ours."""
        seen = await self._requests.by_venue_id(symbol, venue_id)
        if not isinstance(seen, SeenOrder):
            away = isinstance(seen, Unknown | NeverSent)
            raise self._untold(f"order {venue_id} of {symbol}, which has traded", away=away)
        if not self._orders.owns(seen.client_id):
            return None
        return AccountOrder(
            seen.client_id, seen.venue_id, symbol, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 0, filled=seen.filled
        )

    def _fill(self, fill: SeenFill, order: AccountOrder) -> FillReported:
        return FillReported(
            client_id=order.client_id,
            symbol=fill.symbol,
            trade_id=fill.trade_id,
            price=fill.price,
            amount=fill.amount,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            maker=fill.maker,
            at_ms=self.offset.local_ms(fill.at_ms, self._clock.now_ms()),
        )

    def _on_halted(self, symbol: str, why: str) -> None:
        self._halted[symbol] = why

    def _untold(self, what: str, *, away: bool = False) -> CannotStart:
        words = f"{self._name} does not tell {what}: nothing can be proven"
        return ExchangeAway(f"{words} now") if away else CannotStart(words, ExitCode.RECOVERY_REFUSED)


def _passes(failure: Failure) -> bool:
    """Whether an answer is missing rather than a no: waiting mends that."""
    return isinstance(failure, Unknown | NeverSent)


def _number(value: Any) -> Decimal:
    return EXACT.plus(exact(str(value))) if value not in (None, "") else ZERO


@asynccontextmanager
async def reading(
    settings: Exchange, credentials: Credentials, *, quote: str, prefix: str, clock: Clock, budget: Budget
) -> AsyncIterator[Reading]:
    """Give a connection that only reads, and close it; its requests are paid from `budget`. Raises CannotStart."""
    exchange = connect(settings, public_taps(settings, budget), credentials=credentials)
    try:
        found = Reading(exchange, settings, credentials, prefix, clock)
        await found.begin(quote)
        yield found
    finally:
        await disconnect(exchange)
