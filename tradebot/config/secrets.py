"""What must never be told? Every key that this process has read, in each way a text may spell it; asked by whoever
writes, prints or answers.

A key is found whole, encoded (percent, base64, hex, escaped in JSON), and cut: where a text was shortened or broken
into lines, `PIECE` characters in a row are enough.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

MASK: Final = "***"

SHORTEST: Final = 4
"""A shorter text would mask words that happen to contain it."""

PIECE: Final = 12
"""So many characters of a key in a row betray it."""

_GRAM: Final = 6
"""Texts are looked through in steps of so many: `PIECE` characters hold one whole step, wherever they begin."""

_WORTH_A_LOOK: Final = 400  # so long a text is looked through quickly first
_ENCODED_FROM: Final = 8  # a shorter text leaves too few characters of its own in base64
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_LINES: Final = re.compile(r"[\r\n]+|(?:\\[rn])+")
_SIGNED: Final = re.compile(r"""(signature["'\\]*\s*[=:]\s*["'\\]*)[0-9A-Za-z%+/_-]{16,}=*""", re.IGNORECASE)
_KEY_LIKE: Final = re.compile(
    r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+]{32,}={0,2}|[A-Za-z0-9+/]{40,}={1,2}|[0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_STEPS: Final = struct.Struct(f"{_GRAM}s")


class Secrets:
    """The texts that are masked. Registered from any thread; each is known in all its spellings at once."""

    def __init__(self) -> None:
        self._short: tuple[str, ...] = ()  # looked for as a whole
        self._short_bytes: tuple[bytes, ...] = ()
        self._spellings: dict[str, None] = {}
        self._places: dict[str, tuple[tuple[str, int], ...]] = {}  # by gram: in which spelling, and where in it
        self._grams: frozenset[tuple[bytes]] = frozenset()

    def register(self, secret: str) -> None:
        """Mask `secret` from here on; of one of several lines, each line. An empty text is no secret.

        Raises ValueError for one too short to be told from other text.
        """
        if not secret:
            return
        if len(secret) < SHORTEST:
            raise ValueError(f"a secret shorter than {SHORTEST} characters cannot be masked")
        found = dict.fromkeys(each for text in _parts(secret) for each in _spellings(text))
        if found.keys() <= self._spellings.keys():
            return
        spellings = {**self._spellings, **found}
        places: dict[str, tuple[tuple[str, int], ...]] = {}
        grams: set[tuple[bytes]] = set()
        for spelling in spellings:
            if len(spelling) >= PIECE:
                for at in range(len(spelling) - _GRAM + 1):
                    gram = spelling[at : at + _GRAM]
                    places[gram] = (*places.get(gram, ()), (spelling, at))
                data = spelling.encode("utf-8", "surrogatepass")
                grams.update((data[at : at + _GRAM],) for at in range(len(data) - _GRAM + 1))
        short = sorted((each for each in spellings if len(each) < PIECE), key=len, reverse=True)
        self._spellings, self._places, self._short = spellings, places, tuple(short)
        self._grams, self._short_bytes = (
            frozenset(grams),
            tuple(each.encode("utf-8", "surrogatepass") for each in short),
        )

    def forget(self) -> None:
        """Mask nothing any more."""
        self._short, self._short_bytes, self._spellings, self._places, self._grams = (), (), {}, {}, frozenset()

    def text(self, text: str) -> str:
        """Return `text` with every secret and every signature masked."""
        if self._places and (len(text) < _WORTH_A_LOOK or self._suspect(text.encode("utf-8", "surrogatepass"))):
            text = self._long_masked(text)
        for secret in self._short:
            text = text.replace(secret, MASK)
        return _SIGNED.sub(rf"\1{MASK}", text) if "signature" in text else text

    def _long_masked(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        for at in range(0, len(text) - _GRAM + 1, _GRAM):
            for spelling, offset in self._places.get(text[at : at + _GRAM], ()):
                begin, end = _extent(text, at, spelling, offset)
                if end - begin >= PIECE:
                    spans.append((begin, end))
        told, upto = "", 0
        for begin, end in sorted(spans):
            if begin > upto or not told:
                told += text[upto:begin] + MASK
            upto = max(upto, end)
        return told + text[upto:]

    def value(self, value: Any) -> Any:
        """Return what JSON holds (texts, numbers, lists, tables) with every text masked, keys and numbers too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self.text(str(value)) != str(value):
            return MASK
        return value

    def encoded(self, data: bytes, encode: Callable[[Any], bytes]) -> bytes:
        """Return the JSON `data` with nothing secret in it: as it is, or what `encode` makes of it masked."""
        return encode(self.value(json.loads(data))) if self._suspect(data) else data

    def _suspect(self, data: bytes) -> bool:
        """Whether `data` may hold a secret; quick, since it is asked of every record."""
        if b"signature" in data or any(short in data for short in self._short_bytes):
            return True
        whole = len(data) - len(data) % _GRAM
        return bool(self._grams) and not self._grams.isdisjoint(_STEPS.iter_unpack(data[:whole]))


KEPT: Final = Secrets()
"""Every key that this process has read."""


def mask(text: str) -> str:
    """Return `text` with every key of this process masked."""
    return KEPT.text(text)


def _parts(secret: str) -> Iterator[str]:
    yield secret
    lines = _LINES.split(secret)
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= PIECE and not line.startswith("-----"))


def _spellings(secret: str) -> Iterator[str]:
    """Yield `secret` as texts spell it: as it is, in an address, in JSON (and in JSON within JSON), encoded."""
    data = secret.encode("utf-8", "surrogatepass")
    plain = {secret, _percent(data, "%{:02X}"), _percent(data, "%{:02x}")}
    plain |= {text.replace("%20", "+") for text in plain}
    for _ in range(2):
        plain |= {json.dumps(text, ensure_ascii=only)[1:-1] for text, only in product(plain, (True, False))}
    yield from plain
    if len(data) >= _ENCODED_FROM:
        yield data.hex()
        yield data.hex().upper()
        for lead in range(3):
            yield from _in_base64(data, lead)


def _percent(data: bytes, form: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else form.format(byte) for byte in data)


def _in_base64(data: bytes, lead: int) -> Iterator[str]:
    """Yield what of `data` stands in base64 however the text around it goes, `lead` bytes before it."""
    begin, end = -(-8 * lead // 6), 8 * (lead + len(data)) // 6
    padded = b"\0" * lead + data
    yield base64.b64encode(padded).decode("ascii")[begin:end]
    yield base64.urlsafe_b64encode(padded).decode("ascii")[begin:end]


def _extent(text: str, at: int, spelling: str, offset: int) -> tuple[int, int]:
    """Return from where to where `text`, around `at`, is `spelling` around `offset`."""
    begin, left = at, offset
    while begin > 0 and left > 0 and text[begin - 1] == spelling[left - 1]:
        begin, left = begin - 1, left - 1
    end, right = at, offset
    while end < len(text) and right < len(spelling) and text[end] == spelling[right]:
        end, right = end + 1, right + 1
    return begin, end


def key_like(word: str) -> bool:
    """Whether a word that was typed, or set where no key belongs, looks like a key: long, of letters and digits."""
    return _KEY_LIKE.fullmatch(word) is not None
