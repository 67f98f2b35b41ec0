"""What does one profile file say, and where? Asked by the loader, once for each file."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from msgspec import Struct

from tradebot.config.faults import Fault
from tradebot.config.positions import Positions, positions

KEPT = 16
"""How many texts are not parsed again."""

LARGEST_BYTES = 1_048_576
"""Largest profile file: hundreds of times what all settings need, and still read within a moment."""

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_AFTER_VALUE = "Expected newline or end of document after a statement"
_KEY_PART = "Invalid initial character for a key part"

_SAID: tuple[tuple[str, str], ...] = (
    (r"Invalid statement", "a line is `key = value`, `[table]` or a comment that begins with #"),
    (r"Expected '=' after a key.*", "a key must be followed by = and its value"),
    (r"Invalid value", "not a value: texts need quotes, true and false are small, numbers have no unit"),
    (r"Cannot overwrite a value", "the same key stands twice in its table"),
    (r"Cannot declare \((?P<keys>.*?),?\) twice", "the table [{table}] stands twice"),
    (r"Cannot mutate immutable namespace \((?P<keys>.*?),?\)", "[{table}] is closed by its braces or brackets"),
    (r"Cannot redefine namespace \((?P<keys>.*?),?\)", "[{table}] was already given by dotted keys"),
    (r"Duplicate inline table key '(?P<key>.*)'", "`{key}` stands twice in the same braces"),
    (r"Expected '\]' at the end of a table declaration", "a table's name ends with ]"),
    (r"Expected '\]\]' at the end of an array declaration", "the name of an array of tables ends with ]]"),
    (r"Unclosed array", "an array that is begun with [ must end with ]"),
    (r"Unclosed inline table", "a table that is begun with { must end with } on the same line"),
    (r"Unterminated string|Expected \".*\"|Illegal character '\\n'", "a text must end with its quote on its own line"),
    (_AFTER_VALUE, "one line holds one `key = value`"),
    (_KEY_PART, "a key is made of letters, digits, _ and -, or stands in quotes"),
    (r"Unescaped '\\' in a string", "a backslash in a text is written \\\\, or the text stands in single quotes"),
)


class Read(Struct, frozen=True):
    """One file, read: its bytes, its tree and the places in it."""

    path: str
    source: bytes
    tree: dict[str, Any]
    marks: Positions


@lru_cache(maxsize=KEPT)
def read(path: str, source: bytes) -> Read | Fault:
    """Return what `source` says, or the fault that makes it unreadable; numbers with a point become Decimal.

    The latest texts are kept: most of what an edit reads again is as it was. Nobody changes a `Read`.
    """
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        before = source[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        return Fault(path, line, column, "", "not UTF-8 text: save the file with the encoding UTF-8")
    if text.startswith("\ufeff"):
        return Fault(path, 1, 1, "", "begins with a byte order mark: save the file as UTF-8 without one")
    try:
        tree = toml(text)
        marks = positions(source)
    except tomllib.TOMLDecodeError as error:
        return _syntax(path, text, str(error))
    except TooManyDigits as error:
        return Fault(path, *error.place, "", f"a number of {error.digits:,} digits is no quantity")
    except RecursionError:
        return Fault(path, 1, 1, "", "arrays or tables are nested too deeply")
    return Read(path, source, tree, marks)


class TooManyDigits(ValueError):
    """A whole number is too long to be read; `place` is the line and column of the longest one."""

    def __init__(self, text: str) -> None:
        longest = max(re.finditer(r"[0-9_]+", text), key=lambda found: len(found[0]))
        self.digits = len(longest[0])
        before = text[: longest.start()]
        self.place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        super().__init__(f"a number of {self.digits} digits")


def toml(text: str) -> dict[str, Any]:
    """Return what TOML `text` says, numbers with a point as Decimal; one beyond any exponent is no number (nan).

    Raises TOMLDecodeError, TooManyDigits, or RecursionError where it is nested too deeply.
    """
    try:
        return tomllib.loads(text, parse_float=_number)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise TooManyDigits(text) from None


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _syntax(path: str, text: str, error: str) -> Fault:
    place = _PLACE.search(error)
    said = error[: place.start()] if place else error
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    else:
        lines = text.split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    here = text.split("\n")[line - 1][column - 1 :].lstrip()
    return Fault(path, line, column, "", f"not TOML: {_in_words(said, here)}")


def _in_words(said: str, here: str) -> str:
    """Return the parser's complaint in our words; one without words of ours stands as it is.

    `here` is the rest of the line from the place complained about, by which a few mistakes are known.
    """
    if said == _AFTER_VALUE and here.startswith(","):
        return "a number has a point and no comma: 1.5 or 10_000"
    if said == _AFTER_VALUE and re.match(r"[A-Za-z%]+\s*(#|$)", here):
        return "a number stands without its unit, which is in the key's name"
    if said == _KEY_PART and here[:1] in ("", "}"):
        return "a table in braces ends with } on its own line, without a comma before it"
    for pattern, words in _SAID:
        found = re.fullmatch(pattern, said)
        if found:
            groups = found.groupdict()
            keys = re.findall(r"'((?:[^'\\]|\\.)*)'", groups.get("keys") or "")
            return words.replace("{table}", ".".join(keys)).replace("{key}", groups.get("key") or "")
    return said
