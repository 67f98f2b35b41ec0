"""What became of a request? Accepted, refused, or not known; asked by the venue after each one.

Decided by the HTTP status, the exchange's own code and what the connection said, never by ccxt's class alone: a
truncated answer and a refusal are both its ExchangeError. Whatever is not proven is unknown. Source: the error codes
of Binance's REST interface (5xx: never a failure), and what ccxt 4.5.90 makes of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from aiohttp import ClientConnectorError
from msgspec import Struct

from tradebot.exchange.budget import HeldBack
from tradebot.exchange.evidence import Evidence, Trail, chain, evidence_of
from tradebot.exchange.parsing import SeenOrder

Why = Literal["rule", "absent", "clock", "pace", "closed"]
"""A rule of the exchange, no such order, a timestamp outside the window, too many requests, a symbol not traded."""


class Accepted(Struct, frozen=True):
    """The exchange has the order."""

    order: SeenOrder


class Refused(Struct, frozen=True):
    """The exchange said no, conclusively; `code` is its own."""

    code: str
    message: str
    why: Why = "rule"


class Unknown(Struct, frozen=True):
    """The request may or may not have had its effect."""

    cause: str


class NeverSent(Struct, frozen=True):
    """The request did not leave: our own request budget kept it, no connection came about, or it is not sendable."""

    cause: str
    held_back: bool = False
    unreachable: bool = False


class AlreadyThere(Struct, frozen=True):
    """An open order has this client id: an earlier request was the one that counted."""

    code: str
    message: str


Failure = Refused | Unknown | NeverSent | AlreadyThere
Outcome = Accepted | Failure

_ABSENT: Final = frozenset({"-2011", "-2013"})
_DUPLICATE: Final = "duplicate order sent"
_CLOSED: Final = "market is closed"
_NO_SYMBOL: Final = "-1121"

# beside -1100 to -1199, which are about the request as it is written
_REFUSED: Final = frozenset(
    {
        *("-1002", "-1013", "-1014", "-1016", "-1020", "-1022", "-1099"),
        *("-2008", "-2010", "-2014", "-2015", "-2016", "-2021", "-2022", "-2026"),
    }
)
_CLOCK: Final = frozenset({"-1021"})
_PACE: Final = frozenset({"-1003", "-1015"})

# what ccxt's own tables of other exchanges say of a code; a class outside of it proves nothing
_CLASSES: Final = {
    "InvalidNonce": "clock",
    "OrderNotFound": "absent",
    "RateLimitExceeded": "pace",
    "DDoSProtection": "pace",
    "InvalidOrder": "rule",
    "OrderImmediatelyFillable": "rule",
    "OrderNotFillable": "rule",
    "ContractUnavailable": "closed",
    "InsufficientFunds": "rule",
    "BadRequest": "rule",
    "BadSymbol": "closed",
    "ArgumentsRequired": "rule",
    "OperationRejected": "rule",
    "MarketClosed": "closed",
    "AuthenticationError": "rule",
    "PermissionDenied": "rule",
    "AccountNotEnabled": "rule",
    "AccountSuspended": "rule",
    "RestrictedLocation": "rule",
    "NotSupported": "rule",
}


def failure_of(
    error: BaseException,
    trail: Trail,
    *,
    exchange: str,
    codes: Mapping[str, Any] | None = None,
    hide: Callable[[str], str] = lambda text: text,
) -> Failure:
    """Return what `error`, raised by a request of `exchange`, proves; `hide` masks keys in what it says.

    `codes` are ccxt's classes by the exchange's code, for the answers whose code ccxt does not look at.

    A cancelled wait proves nothing: the exchange may have taken the order already.
    """
    if isinstance(error, HeldBack):
        return NeverSent(str(error), held_back=True)
    if any(isinstance(each, ClientConnectorError) for each in chain(error)):
        return NeverSent("no connection to the exchange", unreachable=True)
    if not trail.left:
        return NeverSent(_words(error, hide))
    evidence = evidence_of(error) or trail.evidence  # ccxt also refuses what it reads in a whole answer
    if isinstance(error, asyncio.CancelledError) or evidence is None:
        return Unknown(_transport(error))
    if exchange == "binance" and evidence.http_status == 418:
        return Refused(evidence.venue_code or "418", hide(evidence.message), "pace")
    if evidence.http_status >= 500 or evidence.http_status == 408 or not evidence.readable or not evidence.venue_code:
        code = f", code {evidence.venue_code}" if evidence.venue_code else ""
        return Unknown(f"HTTP {evidence.http_status}{code}")
    message = hide(evidence.message)
    if exchange == "binance":
        return _of_binance(evidence, message)
    known = (codes or {}).get(evidence.venue_code)
    return _of_others([type(error), *([known] if isinstance(known, type) else [])], evidence, message)


def _of_binance(evidence: Evidence, message: str) -> Failure:
    code, status = evidence.venue_code, evidence.http_status
    if status < 400:
        return Unknown(f"HTTP {status}, code {code}")
    if code == "-2010" and _DUPLICATE in message.lower():
        return AlreadyThere(code, message)
    if code in _ABSENT:
        return Refused(code, message, "absent")
    if code == _NO_SYMBOL or (code in _REFUSED and _CLOSED in message.lower()):
        return Refused(code, message, "closed")
    if code in _CLOCK:
        return Refused(code, message, "clock")
    if code in _PACE or status == 429:
        return Refused(code, message, "pace")
    if code in _REFUSED or (code.startswith("-11") and len(code) == 5):
        return Refused(code, message)
    return Unknown(f"HTTP {status}, code {code}")


def _of_others(classes: Sequence[type], evidence: Evidence, message: str) -> Failure:
    names = [each.__name__ for one in classes for each in one.__mro__]
    if "DuplicateOrderId" in names:
        return AlreadyThere(evidence.venue_code, message)
    why = next((_CLASSES[name] for name in names if name in _CLASSES), None)
    if why == "clock":
        return Refused(evidence.venue_code, message, "clock")
    if why == "absent":
        return Refused(evidence.venue_code, message, "absent")
    if why == "pace":
        return Refused(evidence.venue_code, message, "pace")
    if why == "closed":
        return Refused(evidence.venue_code, message, "closed")
    if why == "rule":
        return Refused(evidence.venue_code, message)
    return Unknown(f"HTTP {evidence.http_status}, code {evidence.venue_code}")


def _words(error: BaseException, hide: Callable[[str], str]) -> str:
    """Say what an error says, at most one line of it; masked before it is cut, which would leave half a key."""
    text = hide(str(error)).splitlines()[0][:200] if str(error) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _transport(error: BaseException) -> str:
    """Say what a connection said, without the address that ccxt puts into its texts: it is signed."""
    names = dict.fromkeys(type(each).__name__ for each in chain(error))
    return " from ".join(names)
