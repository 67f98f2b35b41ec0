"""Who trades? The account's keys, from the environment or from files only; asked by the construction of an exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tradebot.domain.errors import CannotStart, ExitCode

KEY: Final = "TRADEBOT_API_KEY"
SECRET: Final = "TRADEBOT_API_SECRET"  # noqa: S105 - the name of a variable
PASSWORD: Final = "TRADEBOT_API_PASSWORD"  # noqa: S105 - the name of a variable

_LONGEST_BYTES = 16_384
_MASK = "***"


class Credentials:
    """The keys of one account. They are shown nowhere: neither its text nor its repr holds them."""

    __slots__ = ("api_key", "password", "secret")

    def __init__(self, api_key: str, secret: str, password: str = "") -> None:
        self.api_key = api_key
        self.secret = secret
        self.password = password

    def __repr__(self) -> str:
        """Say only which keys there are."""
        return f"Credentials({', '.join(name for name in self.__slots__ if getattr(self, name))})"

    def register(self, register: Callable[[str], None]) -> None:
        """Tell every key to `register`, which masks it in whatever is written."""
        for text in self._texts():
            register(text)

    def hide(self, text: str) -> str:
        """Return `text` with every key masked."""
        for secret in sorted(self._texts(), key=len, reverse=True):
            text = text.replace(secret, _MASK)
        return text

    def _texts(self) -> Sequence[str]:
        return [text for text in (self.api_key, self.secret, self.password) if text]


NO_CREDENTIALS: Final = Credentials("", "")
"""Public data only: nothing can be signed."""


def read_credentials(environ: Mapping[str, str], *, password: bool = False) -> Credentials:
    """Return the keys that `environ` holds or names files of (the same name with `_FILE` behind).

    `password` says that the exchange wants one. Raises CannotStart naming the variable that is missing, is set twice,
    or names a file that cannot be read; the text never holds what was read.
    """
    key, secret = _wanted(environ, KEY), _wanted(environ, SECRET)
    return Credentials(key, secret, _wanted(environ, PASSWORD) if password else _read(environ, PASSWORD))


def _wanted(environ: Mapping[str, str], name: str) -> str:
    text = _read(environ, name)
    if not text:
        raise CannotStart(f"no key: set {name}, or {name}_FILE to a file that holds it", ExitCode.BAD_PROFILE)
    return text


def _read(environ: Mapping[str, str], name: str) -> str:
    text, place = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if text and place:
        raise CannotStart(f"{name} and {name}_FILE are both set: keep one of them", ExitCode.BAD_PROFILE)
    if not place:
        return text.strip()
    try:
        with Path(place).open(encoding="utf-8") as file:
            text = file.read(_LONGEST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise CannotStart(f"{name}_FILE: {place}: {why}", ExitCode.BAD_PROFILE) from None
    return text.strip()
