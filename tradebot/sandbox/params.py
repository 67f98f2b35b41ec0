"""What did a client send, read as it must be written? Asked by every call for each of its parameters.

Every read is counted: what nobody read is refused, as Binance does (-1104).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from tradebot.sandbox.wire_errors import (
    ApiError,
    empty,
    illegal_characters,
    missing,
    not_valid,
    too_many_parameters,
    too_precise,
)

SIGNING: Final = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})
_NUMBER: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER: Final = r"^[0-9]{1,20}$"
_SYMBOL: Final = r"^[A-Z0-9-_.]{1,20}$"
CLIENT_ID: Final = r"^[a-zA-Z0-9-_]{1,36}$"


class Params:
    """One request's parameters, by name; each read checks what it reads."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether a parameter was sent."""
        return name in self._sent

    def optional(self, name: str) -> str | None:
        """Return a parameter's text, None where it was not sent. Raises ApiError where it is empty."""
        self._read.add(name)
        text = self._sent.get(name)
        if text == "":
            raise empty(name)
        return text

    def text(self, name: str) -> str:
        """Return a parameter that must be there."""
        found = self.optional(name)
        if found is None:
            raise missing(name)
        return found

    def matching(self, name: str, pattern: str) -> str | None:
        """Return a parameter that may only be written like `pattern`."""
        found = self.optional(name)
        if found is not None and not re.match(pattern, found, re.ASCII):
            raise illegal_characters(name, pattern)
        return found

    def symbol(self) -> str:
        """Return the symbol that must be there."""
        self.text("symbol")
        return self.matching("symbol", _SYMBOL) or ""

    def symbols(self) -> list[str] | None:
        """Return `symbols` as a list, or `symbol` as one; None where neither was sent."""
        many = self.optional("symbols")
        if many is None:
            return None if self.optional("symbol") is None else [self.symbol()]
        if "symbol" in self._sent:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        try:
            return msgspec.json.decode(many, type=list[str])
        except msgspec.MsgspecError:
            raise illegal_characters("symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$') from None

    def number(self, name: str, places: int) -> Decimal | None:
        """Return a number of at most `places` decimal places, None where it was not sent."""
        found = self.matching(name, _NUMBER)
        if found is None:
            return None
        value = Decimal(found)
        if value and -int(value.normalize().as_tuple().exponent) > places:
            raise too_precise(name)
        return value

    def integer(self, name: str) -> int | None:
        """Return a whole number, None where it was not sent."""
        found = self.matching(name, _INTEGER)
        return None if found is None else int(found)

    def limit(self, default: int, most: int) -> int:
        """Return `limit`; more than `most` is taken as `most`, as Binance does."""
        found = self.integer("limit")
        if found == 0:
            raise not_valid("limit")
        return min(default if found is None else found, most)

    def choice(self, name: str, words: Collection[str], refusal: Callable[[], ApiError] | None = None) -> str | None:
        """Return a parameter that is one of `words`, None where it was not sent."""
        found = self.optional(name)
        if found is not None and found not in words:
            raise refusal() if refusal else not_valid(name)
        return found

    def ignore(self, names: Iterable[str]) -> None:
        """Count parameters as read that change nothing here."""
        self._read.update(names)

    def finish(self) -> None:
        """Raise ApiError where something was sent that nobody read."""
        sent = set(self._sent) - SIGNING
        read = sent & self._read
        if sent - read:
            signed = len(set(self._sent) & SIGNING)
            raise too_many_parameters(len(read) + signed, len(sent) + signed)
