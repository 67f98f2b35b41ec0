"""What must never be written? Asked by the log pipeline for every record, and by whoever prints a foreign text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from tradebot.config.secrets import KEPT, MASK

_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|api_?key|private_?key|token|authori[sz]ation|signature|cookie|credential", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def looks_secret(key: str) -> bool:
    """Return whether a field of this name is masked whatever it holds."""
    return _SECRET_KEY.search(key) is not None


class Redactor:
    """Masks the values of fields that look secret, and every secret of this process wherever it stands."""

    def register(self, secret: str) -> None:
        """Mask `secret` from here on, in every spelling; an empty text is no secret.

        Raises ValueError for one too short to be told from other text.
        """
        KEPT.register(secret)

    def text(self, text: str) -> str:
        """Return `text` with every registered secret masked."""
        return KEPT.text(text)

    def line(self, record: dict[str, Any], encode: Callable[[Any], bytes]) -> bytes:
        """Return `encode(record)` with nothing secret in it; `record` may be changed at its top level."""
        for key, value in record.items():
            if looks_secret(key):
                record[key] = MASK
            elif isinstance(value, dict | list | tuple | msgspec.Struct):
                record[key] = _by_key(value)
        return KEPT.encoded(encode(record), encode)


def _by_key(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {key: MASK if looks_secret(str(key)) else _by_key(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_by_key(item) for item in value]
    return value
