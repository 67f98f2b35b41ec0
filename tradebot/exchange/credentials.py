"""Who trades? The account's keys, from the environment or from files only; asked by the construction of an exchange."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tradebot.config.secrets import KEPT, MASK, SHORTEST, Secrets
from tradebot.domain.errors import CannotStart, ExitCode

KEY: Final = "TRADEBOT_API_KEY"
SECRET: Final = "TRADEBOT_API_SECRET"  # noqa: S105 - the name of a variable
PASSWORD: Final = "TRADEBOT_API_PASSWORD"  # noqa: S105 - the name of a variable

NAMES: Final = (KEY, SECRET, PASSWORD)

_LONGEST_BYTES: Final = 16_384
_NOT_MINE: Final = 0o077
_BEGINS_PEM: Final = "-----BEGIN "


class Credentials:
    """The keys of one account. They are shown nowhere: neither its text nor its repr holds them.

    Whatever this process writes, prints or answers has them masked, from the moment they are held.
    """

    __slots__ = ("_hidden", "api_key", "password", "secret")

    def __init__(self, api_key: str, secret: str, password: str = "") -> None:
        self.api_key = api_key
        self.secret = secret
        self.password = password
        self._hidden = Secrets()
        for text in self._texts():
            if len(text) >= SHORTEST:
                self._hidden.register(text)
                KEPT.register(text)

    def __repr__(self) -> str:
        """Say only which keys there are."""
        return f"Credentials({', '.join(name for name in ('api_key', 'password', 'secret') if getattr(self, name))})"

    def register(self, register: Callable[[str], None]) -> None:
        """Tell every key to `register`, which masks it in whatever is written."""
        for text in self._texts():
            register(text)

    def hide(self, text: str) -> str:
        """Return `text` with every key masked, however it is spelt or cut."""
        text = self._hidden.text(text)
        for short in self._texts():
            if len(short) < SHORTEST:
                text = text.replace(short, MASK)
        return text

    def _texts(self) -> Sequence[str]:
        return [text for text in (self.api_key, self.secret, self.password) if text]


NO_CREDENTIALS: Final = Credentials("", "")
"""Public data only: nothing can be signed."""


def keep_secret(environ: Mapping[str, str]) -> None:
    """Mask, in whatever this process tells, the keys that stand in `environ` itself; their files are left unread."""
    for name in NAMES:
        for text in {environ.get(name, ""), environ.get(name, "").strip()}:
            if len(text) >= SHORTEST:
                KEPT.register(text)


def read_credentials(environ: Mapping[str, str], *, password: bool = False) -> Credentials:
    """Return the keys that `environ` holds or names files of (the same name with `_FILE` behind).

    `password` says that the exchange wants one. A file belongs to its reader alone (mode 0600 or 0400), holds one key
    as text, and may end with a newline. Raises CannotStart naming the variable that is missing, is set twice, names a
    file that is not so, or holds what can be no key; the text never holds what was read.
    """
    key, secret = _wanted(environ, KEY), _wanted(environ, SECRET)
    return Credentials(key, secret, _wanted(environ, PASSWORD) if password else _read(environ, PASSWORD))


def file_fault(place: str) -> str:
    """Return in words why no key is read from the file `place`, "" where one is; the words hold nothing of it."""
    try:
        _text_of(place)
    except _Unfit as unfit:
        return str(unfit)
    return ""


class _Unfit(Exception):
    """A file that no key is read from; the text says why, without the file's name."""


def _wanted(environ: Mapping[str, str], name: str) -> str:
    text = _read(environ, name)
    if not text:
        raise CannotStart(f"no key: set {name}, or {name}_FILE to a file that holds it", ExitCode.BAD_PROFILE)
    return text


def _read(environ: Mapping[str, str], name: str) -> str:
    text, place = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if text and place:
        raise CannotStart(f"{name} and {name}_FILE are both set: keep one of them", ExitCode.BAD_PROFILE)
    said = name
    if place:
        said = f"{name}_FILE: {place}"
        try:
            text = _text_of(place)
        except _Unfit as unfit:
            raise CannotStart(f"{said}: {unfit}", ExitCode.BAD_PROFILE) from None
    text = text.strip()
    if why := _no_key(name, text):
        raise CannotStart(f"{said}: {why}", ExitCode.BAD_PROFILE)
    return text


def _text_of(place: str) -> str:
    """Return what a file of a key holds. Raises _Unfit.

    Its mode is asked of the opened file: that of a link says nothing, and a name may lead elsewhere a moment later.
    """
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    except (OSError, ValueError) as error:
        raise _Unfit(getattr(error, "strerror", None) or "no name of a file") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise _Unfit("is no plain file")
        mode = stat.S_IMODE(about.st_mode)
        if mode & _NOT_MINE:
            whole = Path(place).resolve() if Path(place).is_symlink() else place
            raise _Unfit(f"has mode {mode:04o}: it must be its owner's alone, `chmod 600 {whole}`")
        data = os.read(handle, _LONGEST_BYTES + 1)
    except OSError as error:
        raise _Unfit(error.strerror or "cannot be read") from None
    finally:
        os.close(handle)
    if len(data) > _LONGEST_BYTES:
        raise _Unfit(f"holds more than {_LONGEST_BYTES} bytes: that is no key")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unfit("is not text") from None
    if not text.strip():
        raise _Unfit("is empty")
    return text


def _no_key(name: str, text: str) -> str:
    """Return why `text` can be no key, "" where it can, or where there is none; the words hold nothing of it."""
    if not text:
        return ""
    if len(text) < SHORTEST:
        return "too short to be a key"
    if text.startswith(_BEGINS_PEM) and name == SECRET:
        return ""
    if len(text.splitlines()) > 1:
        return "holds several lines: a key is one"
    if name != PASSWORD and any(letter.isspace() or not letter.isascii() for letter in text):
        return "holds a blank, or a letter that no key has"
    return "" if text.isprintable() else "holds a character that no key has"
