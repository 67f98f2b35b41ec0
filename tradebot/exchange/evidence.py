"""What is known of a request's fate? Status, code and whether it left; noted at the wire, asked by the outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from msgspec import Struct

from tradebot.config.secrets import mask
from tradebot.exchange.dialects import Dialect

_LONGEST_TEXT: Final = 200
_LONGEST_CODE: Final = 60
_DEEPEST: Final = 8


class Evidence(Struct, frozen=True):
    """An answer that came whole: its HTTP status, and the exchange's own code and words ("" where there are none).

    `readable` says that its body was JSON.
    """

    http_status: int
    venue_code: str
    message: str
    readable: bool


class Trail:
    """How far one request got. `left_s` is the monotonic time at which it was handed to the connection, 0 before.

    `evidence` and `answer` are those of the last answer that came whole, None before and while the next is awaited.
    """

    __slots__ = ("answer", "evidence", "left_s")

    def __init__(self) -> None:
        self.left_s = 0.0
        self.evidence: Evidence | None = None
        self.answer: Any = None

    def leaves(self, now_s: float) -> None:
        """Note that a request is handed to the connection."""
        self.left_s, self.evidence, self.answer = now_s, None, None

    @property
    def left(self) -> bool:
        """Whether it may have reached the exchange."""
        return self.left_s > 0


TRAIL: Final[ContextVar[Trail | None]] = ContextVar("tradebot_trail", default=None)


@contextmanager
def followed(trail: Trail | None = None) -> Iterator[Trail]:
    """Follow the requests made inside; one trail for all of them, a new one where none is given."""
    trail = trail or Trail()
    token = TRAIL.set(trail)
    try:
        yield trail
    finally:
        TRAIL.reset(token)


def evidence_in(status: int, answer: Any, dialect: Dialect) -> Evidence:
    """Return what an answer proves; `answer` is its decoded body, None where it is not JSON.

    An exchange may answer with what it was asked, so keys are masked, before the texts are cut to their bounds.
    """
    code = next((text for place in dialect.code_places if (text := _text(answer, place))), "")
    message = next((text for place in dialect.text_places if (text := _text(answer, place))), "")
    return Evidence(status, mask(code)[:_LONGEST_CODE], mask(message)[:_LONGEST_TEXT], answer is not None)


def attach(error: BaseException, evidence: Evidence) -> None:
    """Attach evidence to an error of ccxt."""
    error.tradebot_evidence = evidence  # type: ignore[attr-defined]  # ccxt's errors carry no field for it


def evidence_of(error: BaseException) -> Evidence | None:
    """Return the evidence attached to `error` or to what it was raised from."""
    for each in chain(error):
        found = getattr(each, "tradebot_evidence", None)
        if isinstance(found, Evidence):
            return found
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it was raised from, nearest first; bounded."""
    each: BaseException | None = error
    for _ in range(_DEEPEST):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__


def _text(answer: Any, place: str) -> str:
    value = answer
    for part in place.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
