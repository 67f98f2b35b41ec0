"""What must never be written? Asked by the log pipeline for every record, and by whoever prints a foreign text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

MASK = "***"

_SHORTEST = 4  # a shorter text would mask words that happen to contain it

_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|api_?key|private_?key|token|authori[sz]ation|signature|cookie|credential", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def looks_secret(key: str) -> bool:
    """Return whether a field of this name is masked whatever it holds."""
    return _SECRET_KEY.search(key) is not None


class Redactor:
    """Masks the values of fields that look secret, and every registered secret wherever it stands."""

    def __init__(self) -> None:
        self._needles: tuple[bytes, ...] = ()
        self._secrets: tuple[str, ...] = ()

    def register(self, secret: str) -> None:
        """Mask `secret` from here on, also as it stands in an address; an empty text is no secret.

        Raises ValueError for one too short to be told from other text.
        """
        if not secret:
            return
        if len(secret) < _SHORTEST:
            raise ValueError(f"a secret shorter than {_SHORTEST} characters cannot be masked")
        both = {secret, quote(secret, safe="")}
        self._secrets = tuple(sorted({*self._secrets, *both}, key=len, reverse=True))
        escaped = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for text in both for ascii_only in (True, False)}
        self._needles = tuple({*self._needles, *(text.encode("utf-8", "surrogatepass") for text in escaped)})

    def text(self, text: str) -> str:
        """Return `text` with every registered secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def line(self, record: dict[str, Any], encode: Callable[[Any], bytes]) -> bytes:
        """Return `encode(record)` with nothing secret in it; `record` may be changed at its top level."""
        for key, value in record.items():
            if looks_secret(key):
                record[key] = MASK
            elif isinstance(value, dict | list | tuple | msgspec.Struct):
                record[key] = _by_key(value)
        encoded = encode(record)
        if any(needle in encoded for needle in self._needles):
            encoded = encode(self._by_value(json.loads(encoded)))
        return encoded

    def _by_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._by_value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._by_value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self.text(str(value)) != str(value):
            return MASK
        return value


def _by_key(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {key: MASK if looks_secret(str(key)) else _by_key(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_by_key(item) for item in value]
    return value
