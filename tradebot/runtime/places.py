"""Where do prices come from and orders go, as a profile names it? Asked by wiring.

What speaks to an exchange is loaded only by a profile that names one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.domain.events import Event
from tradebot.domain.inventory import NotConnected, OpenOrder
from tradebot.domain.market import Instrument
from tradebot.feeds.synthetic import synthetic_symbols
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.ports import Clock, Feed, Log
from tradebot.runtime.account import Account
from tradebot.runtime.patience import NO_PATIENCE, Patience
from tradebot.telemetry.logs import NoLog
from tradebot.venues.paper import PaperVenue

if TYPE_CHECKING:
    from tradebot.exchange.budget import Budget
    from tradebot.feeds.ccxt_clock import FeedClock
    from tradebot.venues.ccxt_spot import CcxtSpot


NO_LOG: Final = NoLog()


Gauge = Callable[[str, float], None]
"""Takes (name, value) of a gauge."""


def no_gauge(_name: str, _value: float) -> None:
    """Tell nobody."""


def make_feed(
    profile: Profile, clock: Clock, log: Log = NO_LOG, gauge: Gauge = no_gauge, patience: Patience = NO_PATIENCE
) -> Feed:
    """Return the feed that the profile names; one of an exchange asks it for its markets first, with `patience`.

    Raises CannotStart where it cannot run live. Not to be called in a running loop.
    """
    match profile.feed.kind:
        case "synthetic":
            quote, settings = profile.market.quote, profile.feed.synthetic
            symbols = profile.market.symbols or synthetic_symbols(settings, quote)
            return SyntheticLive(
                settings, symbols, quote, profile.bot.seed, min_notional=profile.venue.paper.min_notional, clock=clock
            )
        case "ccxt":
            return _exchange_feed(profile, clock, log, gauge, patience)
        case kind:
            message = f'feed.kind = "{kind}" runs in `tradebot replay` only; a live run wants "synthetic" or "ccxt"'
            raise CannotStart(message, ExitCode.BAD_PROFILE)


def make_venue(profile: Profile, instruments: Mapping[str, Instrument], image: AccountImage | None) -> Account:
    """Return the paper venue with the account of `image`, or with a new one."""
    return PaperVenue(profile.venue.paper, instruments, profile.market.quote, profile.bot.seed, image)


class RemoteAccount:
    """An account at an exchange, as a run holds it: it keeps its own books, and lists its own symbols."""

    def __init__(self, spot: CcxtSpot) -> None:
        self._spot = spot
        self.submit = spot.submit
        self.on_market = spot.on_market
        self.watches = spot.watches
        self.advance = spot.advance

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do: never."""
        return self._spot.next_due_ms

    def add_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Take orders in these symbols: the exchange knows its own."""

    async def close_entries(self) -> None:
        """Let no buy leave any more; return when none is on its way to the exchange."""
        if (end := self._spot.end) is not None:
            await end.close_entries()

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return the own open orders of any run, as the exchange lists them. Raises NotTold."""
        if (end := self._spot.end) is None:
            raise NotConnected("there is no connection to the exchange")
        return await end.open_orders()

    async def keep_guard(self, lives: Callable[[], Awaitable[bool]]) -> None:
        """Keep the dead man's switch from falling, until cancelled; return where there is none."""
        if (end := self._spot.end) is not None:
            await end.keep_guard(lives)

    async def disarm(self, within_s: float) -> None:
        """End the dead man's switch, where there is one: orders stay."""
        if (end := self._spot.end) is not None:
            await end.disarm(within_s)

    def save(self) -> None:
        """Store nothing: the account is at the exchange."""

    def image(self) -> AccountImage | None:
        """Return no copy: the exchange is asked."""
        return None


class Lease(Protocol):
    """The right to trade on an account."""

    def refresh(self) -> None:
        """Let it look used."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class NoLease:
    """The null part of the lease: a paper account lies in the home, whose lock keeps every other bot out."""

    def refresh(self) -> None:
        """Hold nothing."""

    def close(self) -> None:
        """Give nothing back."""


def make_lease(profile: Profile, home: Path, clock: Clock, environ: Mapping[str, str] = os.environ) -> Lease:
    """Return the right to trade on the profile's account for the bot of `home`.

    Raises CannotStart where another bot of this machine has it, and where a key is missing.
    """
    if profile.venue.kind == "paper":
        return NoLease()
    from tradebot.exchange.account_lease import Holder, take_lease
    from tradebot.exchange.construction import needs_password
    from tradebot.exchange.credentials import read_credentials

    credentials = read_credentials(environ, password=needs_password(profile.exchange.name))
    holder = Holder(os.getpid(), profile.bot.instance, str(home.absolute()), clock.now_ms())
    return take_lease(profile.exchange, credentials, holder, environ)


def make_remote(
    profile: Profile,
    clock: Clock,
    log: Log,
    deliver: Callable[[Event], None],
    failed: Callable[[str, BaseException], None],
    register_secret: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    *,
    symbols: Sequence[str] = (),
    gauge: Gauge = no_gauge,
    is_our_run: Callable[[str], bool] = lambda _run: True,
    feed: Feed | None = None,
) -> CcxtSpot:
    """Return the account at the profile's exchange, not connected yet; `symbols` are those that are watched.

    The markets that `feed` was just made with are not asked for again.
    Raises CannotStart where a key is missing.
    """
    from tradebot.exchange.construction import needs_password
    from tradebot.exchange.credentials import read_credentials
    from tradebot.exchange.shared_budget import shared_budget
    from tradebot.feeds.ccxt_live import CcxtLive
    from tradebot.venues.ccxt_spot import CcxtSpot

    credentials = read_credentials(environ, password=needs_password(profile.exchange.name))
    credentials.register(register_secret)
    return CcxtSpot(
        profile.exchange,
        credentials,
        quote=profile.market.quote,
        id_prefix=f"{profile.bot.instance}-",
        clock=clock,
        deliver=deliver,
        log=log,
        failed=failed,
        budget=shared_budget(profile.exchange, clock, log, credentials, environ),
        symbols=symbols,
        gauge=gauge,
        is_our_run=is_our_run,
        listing=feed.listing if isinstance(feed, CcxtLive) else None,
    )


def _exchange_feed(profile: Profile, clock: Clock, log: Log, gauge: Gauge, patience: Patience) -> Feed:
    from tradebot.exchange.construction import connect, public_taps
    from tradebot.exchange.shared_budget import shared_budget
    from tradebot.feeds.ccxt_clock import FeedClock
    from tradebot.feeds.ccxt_live import CcxtLive

    settings = profile.exchange
    budget = shared_budget(settings, clock, log)
    judged_elsewhere = profile.venue.kind == "ccxt"  # the venue judges the clock it signs by
    time = FeedClock(
        settings.name,
        clock,
        NO_LOG if judged_elsewhere else log,
        no_gauge if judged_elsewhere else gauge,
        interval_s=settings.clock_interval_s,
        warn_ms=settings.warn_clock_offset_ms,
    )

    def connected() -> Any:
        return connect(settings, public_taps(settings, budget))

    listed = [patience.make(partial(_listing, profile, connected, time, budget, clock))]

    def connected_with_markets() -> Any:
        exchange = connected()
        if listed:  # those of the start serve the first run; a later one asks anew
            exchange.set_markets_from_exchange(listed.pop())
        return exchange

    return CcxtLive(
        connected_with_markets,
        profile.feed.ccxt,
        _watched(profile, listed[0].markets),
        clock,
        log,
        offset_ms=time.offset_ms,
        keep_alive_s=settings.keep_alive_s,
        renew_after_s=settings.renew_after_s,
        beside=lambda exchange: (time.keep(exchange),),
        listing=listed[0],
    )


def _watched(profile: Profile, markets: Mapping[str, Any]) -> tuple[Instrument, ...]:
    """Return what the profile watches of `markets`; a symbol that is not among them is left out.

    Raises CannotStart where none of those it names is there.
    """
    from tradebot.exchange.instruments import instruments_of

    wanted = set(profile.market.symbols)
    listed = instruments_of(markets, profile.market.quote, wanted)
    if wanted and not wanted & {one.symbol for one in listed}:
        names = ", ".join(profile.market.symbols)
        raise CannotStart(f"{profile.exchange.name} does not trade {names}", ExitCode.BAD_PROFILE)
    return tuple(one for one in listed if not wanted or one.symbol in wanted)


async def _listing(
    profile: Profile, connected: Callable[[], Any], time: FeedClock, budget: Budget, clock: Clock
) -> Any:
    """Return an instance of ccxt that holds the exchange's markets and is closed; measure the clock on the way.

    Raises CannotStart, which is ExchangeAway where asking again may do.
    """
    from tradebot.exchange.away import why_not
    from tradebot.exchange.construction import disconnect

    exchange = connected()
    try:
        await exchange.load_markets()
        await time.begin(exchange)
    except CannotStart:
        raise
    except Exception as error:  # noqa: BLE001 - the border to ccxt: a start says what is wrong and ends
        raise why_not(profile.exchange.name, "its markets cannot be had", error, budget, clock) from None
    finally:
        await disconnect(exchange)
    return exchange
