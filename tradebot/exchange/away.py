"""Why could a start not ask the exchange: is it away, so that waiting mends it, or is it something to be mended?

Asked by the feed and the venue at a start.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tradebot.domain.errors import CannotStart, ExchangeAway
from tradebot.exchange.addresses import Elsewhere
from tradebot.exchange.budget import Budget, HeldBack
from tradebot.exchange.evidence import chain, evidence_of
from tradebot.exchange.health import MAINTENANCE
from tradebot.ports import Clock

_TO_BE_MENDED: Final = (ssl.SSLError, aiohttp.ClientSSLError, Elsewhere)
"""A connection that is made and not believed, or that may not be made at all."""

_TRANSPORT: Final = (OSError, TimeoutError, aiohttp.ClientError)


def why_not(name: str, what: str, error: BaseException, budget: Budget, clock: Clock) -> CannotStart:
    """Return what a start ends with whose question `what` ("its markets cannot be had") failed with `error`.

    It is ExchangeAway where nothing but waiting is to be done. The words hold no address, which may be signed.
    """
    until_ms = _closed_until_ms(error, budget, clock)
    if until_ms:
        banned = "bans this address" if budget.banned else "wants no request"
        at = f"{datetime.fromtimestamp(until_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return ExchangeAway(f"{name} {banned} until {at}", until_ms)
    words = f"{name}: {what}: {in_words(error)}"
    return ExchangeAway(words) if is_away(error) else CannotStart(words)


def is_away(error: BaseException) -> bool:
    """Whether a request failed since the exchange does not work, or cannot be reached from here."""
    causes = list(chain(error))
    if any(isinstance(each, _TO_BE_MENDED) for each in causes):
        return False
    if any(isinstance(each, HeldBack) for each in causes):
        return True
    evidence = evidence_of(error)
    if evidence is None:
        return any(isinstance(each, _TRANSPORT) or _is_ccxts(each, "NetworkError") for each in causes)
    if evidence.http_status in {408, 418, 429} or evidence.http_status >= 500 or evidence.venue_code in MAINTENANCE:
        return True
    return not evidence.readable or any(_is_ccxts(each, "OnMaintenance") for each in causes)


def in_words(error: BaseException) -> str:
    """Say what went wrong without the address in ccxt's texts, which may be signed."""
    if isinstance(error, HeldBack):
        return str(error)
    evidence = evidence_of(error)
    told = ""
    if evidence is not None:
        code = f", code {evidence.venue_code}" if evidence.venue_code else ""
        told = f" (HTTP {evidence.http_status}{code})"
    return " from ".join(type(each).__name__ for each in (error, error.__cause__) if each is not None) + told


def _closed_until_ms(error: BaseException, budget: Budget, clock: Clock) -> int:
    """Return until when nothing may be asked, by the answer or by the budget that held a request back; 0 if it may."""
    held = next((each.until_ms for each in chain(error) if isinstance(each, HeldBack)), 0)
    until_ms = max(held, budget.closed_until_ms)
    return until_ms if until_ms > clock.now_ms() else 0


def _is_ccxts(error: BaseException, name: str) -> bool:
    return any(one.__name__ == name for one in type(error).__mro__)
