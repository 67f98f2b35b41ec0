"""How is an exchange of ccxt made? Asked by the venue, the feed and the fetching of data."""

from __future__ import annotations

import gc
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import aiohttp

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.addresses import LoopbackConnector, moved, session_of
from tradebot.exchange.budget import Budget
from tradebot.exchange.credentials import NO_CREDENTIALS, Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps, hooked

Ccxt = Any
"""An exchange of ccxt.pro, whose classes are known only at run time."""

# its records at DEBUG hold the headers of every request, and so the key
_LOGGER: Final = logging.getLogger("tradebot.ccxt")
_LOGGER.setLevel(logging.WARNING)

SILENT_PINGS: Final = 2.5
"""So many intervals between two pings may pass without any frame. With 1, ccxt drops a socket whose pongs come at once:
it looks right before it asks again."""

_ONLY_SPOT: Final = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}


def exchange_class(name: str) -> Any:
    """Return ccxt's class of the exchange `name`. Raises CannotStart where ccxt has none."""
    with _uncollected():
        import ccxt.pro  # type: ignore[import-untyped]
    if name not in ccxt.pro.exchanges:
        raise CannotStart(f"exchange.name: ccxt knows no {name} with live data", ExitCode.BAD_PROFILE)
    return getattr(ccxt.pro, name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the collector of cycles rest: all that ccxt loads stays, and looking it over is a third of its loading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def connect(
    settings: Exchange,
    taps: Taps,
    *,
    credentials: Credentials = NO_CREDENTIALS,
    throttled: bool = True,
    connector: aiohttp.BaseConnector | None = None,
    adapt: Callable[[Any], Any] = lambda base: base,
) -> Ccxt:
    """Return an exchange of ccxt.pro by `settings`, its markets not loaded; needs a running loop and `disconnect`.

    `throttled` lets ccxt space its requests (its queue is one for all of them); without, only the budget of `taps`
    holds them back. `adapt` makes a sub-class of the hooked class. `connector` replaces the own one.
    Raises CannotStart for an unknown exchange and for an address outside this machine.
    """
    dialect = dialect_of(settings.name)
    base = exchange_class(settings.name)
    options = {**_ONLY_SPOT, "recvWindow": settings.recv_window_ms, "maxRetriesOnFailure": 0, **dialect.options}
    exchange = adapt(hooked(base, taps))(
        {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
            "password": credentials.password or None,
            "enableRateLimit": throttled,
            "timeout": round(settings.request_timeout_s * 1000),
            "options": options,
            "aiohttp_trust_env": False,
            "number": str,
            "verbose": False,
        }
    )
    exchange.logger = _LOGGER
    exchange.number = str  # amounts, prices and fees arrive as the exchange wrote them
    exchange.enableLastHttpResponse = settings.name == "kraken"  # its cancel looks for an unknown order there
    exchange.enableLastJsonResponse = exchange.enableLastResponseHeaders = False
    exchange.has["fetchCurrencies"] = False
    exchange.streaming = {
        **exchange.streaming,
        "keepAlive": round(settings.keep_alive_s * 1000),
        "maxPingPongMisses": SILENT_PINGS,
    }
    if settings.base_url:
        exchange.urls = moved(exchange.urls, settings.base_url, dialect.places)
        exchange.timeout_on_exit = 0  # there is no TLS to close
    exchange.own_session = False
    exchange.session = exchange.tradebot_session = session_of(connector or _connector(settings, exchange.cafile))
    _unite_errors(exchange)
    return exchange


async def disconnect(exchange: Ccxt) -> None:
    """Close every socket and the session of `exchange`; harmless when called twice."""
    session: aiohttp.ClientSession = exchange.tradebot_session
    try:
        await exchange.close()
    finally:
        if not session.closed:
            await session.close()


def noticed_within_s(keep_alive_s: float) -> float:
    """Return how long a socket whose peer is gone is kept at most: what may pass silently, and the look after it."""
    return keep_alive_s * (SILENT_PINGS + 1)


def public_taps(settings: Exchange, budget: Budget) -> Taps:
    """Return the taps of an instance that only reads."""
    return Taps(budget, dialect_of(settings.name), urgent=False)


@cache
def needs_password(name: str) -> bool:
    """Return whether the exchange `name` wants a password besides key and secret. Raises CannotStart.

    Kept for each exchange: only an instance knows it, and making one takes some 20 ms.
    """
    return bool(exchange_class(name)().requiredCredentials.get("password"))


def _unite_errors(exchange: Ccxt) -> None:
    """Let the errors of spot be known at every address: ccxt looks for them only at the exchange's own."""
    spot = exchange.exceptions.get("spot")
    if isinstance(spot, dict) and isinstance(spot.get("exact"), dict):
        united = {**exchange.exceptions.get("exact", {}), **spot["exact"]}
        exchange.exceptions = {**exchange.exceptions, "exact": united}


def _connector(settings: Exchange, cafile: str) -> aiohttp.TCPConnector:
    if settings.base_url:
        return LoopbackConnector(settings.base_url)
    return aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=cafile))
