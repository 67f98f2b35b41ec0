"""Which generations and texts do the tests of the profile history write? Asked by them and by the process they kill."""

from __future__ import annotations

from pathlib import Path

from tradebot.domain.generation import Cause, Generation, ProfileText, Switch, Verdict, VerdictKind
from tradebot.storage.history import History

BUSY_S = 0.05


def open_history(path: Path) -> History:
    return History.open(path, BUSY_S)


def read_history(path: Path) -> History:
    history = History.read_only(path)
    assert history is not None
    return history


def files(text: int) -> tuple[ProfileText, ...]:
    """Return the two files of text `text`: one that all share, one of its own with bytes that are no text."""
    own = b"\xff\x00\r\n" + f"# text {text}\n".encode() * 300
    return ProfileText("base.toml", b"# shared by all\r\n" * 300), ProfileText("bot.toml", own)


def digest(text: int) -> str:
    return f"digest-{text}"


def effective(text: int) -> str:
    return f"text = {text}\n" * 300


def generation(
    number: int, text: int | None = None, *, previous: int | None = None, cause: Cause = "edit"
) -> Generation:
    """Return generation `number` with text `text`, by default one of its own."""
    text = number if text is None else text
    return Generation(
        number=number,
        at_ms=1000 + number,
        cause=cause,
        who="ada",
        path="bot.toml",
        digest=digest(text),
        files=files(text),
        effective=effective(text),
        changes=(f"entry.drop_bps: {number - 1} -> {number}",),
        switches=(Switch("buying", on=False, who="ada", at_ms=number, why="calm"),),
        previous=number - 1 if previous is None else previous,
        pinned=number % 2 == 0,
    )


def verdict(text: int, kind: VerdictKind, at_ms: int = 7) -> Verdict:
    return Verdict(
        digest=digest(text),
        kind=kind,
        at_ms=at_ms,
        who="ada",
        files=files(text),
        keys=("risk.max_positions",),
        reason=f"{kind} it is",
    )


def apply(history: History, number: int, text: int | None = None, *, good: bool = False) -> None:
    """Bring generation `number` into force, and through its probation where `good`."""
    history.begin(generation(number, text))
    history.commit(number, 2000 + number)
    if good:
        history.passed(number, 3000 + number)
