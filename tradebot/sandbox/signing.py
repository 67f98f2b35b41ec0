"""Who signed a request, and when? Asked by REST and the ws-api for everything that needs a key.

HMAC-SHA256 alone; rules: Binance spot API, "Request security". Secrets stay in the ring of keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import quote, unquote_plus

from msgspec import Struct

from tradebot.sandbox.orders import Credentials
from tradebot.sandbox.wire_errors import (
    ApiError,
    bad_key,
    bad_key_format,
    bad_signature,
    empty,
    missing,
    too_early,
    too_late,
)

RECV_WINDOW_MS: Final = 5_000
LONGEST_RECV_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1_000
_MICROSECONDS: Final = 10**14
"""From here on a timestamp is one in microseconds: as milliseconds it would lie beyond the year 5000."""

_KEY: Final = re.compile(r"^[A-Za-z0-9_-]{1,128}$")
_SIGNED_IN: Final = re.compile(r"(^|&)signature=([^&]*)")


class Signed(Struct, frozen=True):
    """A request's key, what was signed of it, and the signature; None where none was sent."""

    key: str | None
    payload: str
    signature: str | None

    def __repr__(self) -> str:
        """Return nothing of what was signed."""
        return "Signed(…)"


FLAGS: Final = (
    *("ipRestrict", "enableReading", "enableWithdrawals", "enableInternalTransfer", "enableMargin", "enableFutures"),
    *("permitsUniversalTransfer", "enableVanillaOptions", "enableFixApiTrade", "enableFixReadOnly"),
    *("enableSpotAndMarginTrading", "enablePortfolioMarginTrading"),
)
"""What Binance tells of a key, in its wallet API's "Get API Key Permission"."""

_ON_AT_FIRST: Final = frozenset({"enableReading", "enableSpotAndMarginTrading"})


class Keyring:
    """The keys that the exchange knows."""

    def __init__(self, credentials: Iterable[Credentials]) -> None:
        self._credentials = {each.key: each for each in credentials}
        self._flags = {
            key: {flag: flag in _ON_AT_FIRST for flag in FLAGS} | {"enableSpotAndMarginTrading": each.may_trade}
            for key, each in self._credentials.items()
        }

    def flags(self, key: str) -> dict[str, bool]:
        """Return what a key is told to be allowed. Raises ApiError where it is not known."""
        return dict(self._flags[self.named(key).key])

    def permit(self, key: str, flags: Mapping[str, bool]) -> None:
        """Change what a key is allowed: of it only trading has an effect. Raises ApiError, ValueError for no flag."""
        known = self.named(key)
        if strange := sorted(set(flags) - set(FLAGS)):
            raise ValueError(f"no flag is called {strange[0]}; there are {', '.join(FLAGS)}")
        self._flags[key].update(flags)
        may_trade = self._flags[key]["enableSpotAndMarginTrading"]
        self._credentials[key] = Credentials(known.key, known.secret, may_trade)

    def named(self, key: str | None) -> Credentials:
        """Return what a key may do. Raises ApiError where it is none, or not known."""
        if key is None or not _KEY.match(key):
            raise bad_key_format()
        found = self._credentials.get(key)
        if found is None:
            raise bad_key()
        return found

    def verify(self, signed: Signed, params: Mapping[str, str], now_ms: int, *, trade: bool = False) -> str:
        """Return the account that sent a signed request. Raises ApiError.

        `trade` asks for the permission to trade; `params` hold timestamp and recvWindow, `now_ms` is the server's time.
        """
        credentials = self.named(signed.key)
        at_ms, window_ms = _times(params)
        if not signed.signature:
            raise missing("signature")
        expected = sign(credentials.secret, signed.payload)
        if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
            raise bad_signature()
        check_time(at_ms, window_ms, now_ms)
        if trade and not credentials.may_trade:
            raise bad_key()
        return credentials.key


def sign(secret: str, payload: str) -> str:
    """Return the signature of `payload`, in hexadecimal."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def rest_signed(key: str | None, query: str, body: str) -> Signed:
    """Return what was signed of a REST request: query and body as they came, without the signature."""
    parts = [_SIGNED_IN.search(part) for part in (query, body)]
    found = next((match.group(2) for match in parts if match), None)
    payload = "".join(_without_signature(part) for part in (query, body))
    return Signed(key, payload, None if found is None else unquote_plus(found).lower())


def ws_signed(params: Mapping[str, object]) -> Signed:
    """Return what was signed of a ws-api request: its parameters by name, as they are, without the signature."""
    rows = ((name, _plain(params[name])) for name in sorted(params) if name != "signature")
    key, signature = params.get("apiKey"), params.get("signature")
    return Signed(
        None if key is None else str(key),
        "&".join(f"{name}={value}" for name, value in rows),
        None if signature is None else str(signature).lower(),
    )


def check_time(at_ms: Decimal, window_ms: Decimal, now_ms: int) -> None:
    """Raise ApiError where a request came too late or from the future."""
    if at_ms >= now_ms + AHEAD_MS:
        raise too_early()
    if now_ms - at_ms > window_ms:
        raise too_late()


def signed_query(secret: str, params: Mapping[str, object]) -> str:
    """Return `params` as a query that ends with its signature, as a client would send it."""
    query = "&".join(f"{name}={quote(_plain(value), safe='')}" for name, value in params.items())
    return f"{query}&signature={sign(secret, query)}"


def _without_signature(text: str) -> str:
    return _SIGNED_IN.sub("", text).removeprefix("&")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _times(params: Mapping[str, str]) -> tuple[Decimal, Decimal]:
    """Return timestamp and recvWindow in ms."""
    at_ms = _number(params, "timestamp", None)
    window_ms = _number(params, "recvWindow", Decimal(RECV_WINDOW_MS))
    if window_ms > LONGEST_RECV_WINDOW_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000")
    return at_ms / 1000 if at_ms >= _MICROSECONDS else at_ms, window_ms


def _number(params: Mapping[str, str], name: str, default: Decimal | None) -> Decimal:
    text = params.get(name)
    if text is None:
        if default is None:
            raise missing(name)
        return default
    if not text:
        raise empty(name)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise missing(name) from None
    if not value.is_finite() or value < 0:
        raise missing(name)
    return value
