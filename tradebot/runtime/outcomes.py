"""What became of an edit? A closed set of outcomes, each with its lines for people; asked by whoever caused one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from tradebot.config.diff import Change
from tradebot.config.faults import Fault
from tradebot.domain.facts import Level
from tradebot.domain.views import ChangeView, FaultView, OutcomeKind, OutcomeView


class Outcome(Struct, frozen=True, kw_only=True):
    """Base of every outcome. `generation` is the one in force after it, `path` the profile it is about."""

    kind: ClassVar[OutcomeKind] = "unchanged"
    event_type: ClassVar[str] = "PROFILE_UNCHANGED"
    level: ClassVar[Level] = "DEBUG"

    generation: int
    path: str
    who: str

    def lines(self) -> list[str]:
        """Return what is said of it, the first line whole in itself."""
        return [f"unchanged · {self.path} · generation {self.generation}"]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        return OutcomeView(outcome=self.kind, generation=self.generation, lines=tuple(self.lines()))


class Unchanged(Outcome, frozen=True, kw_only=True):
    """What is asked for is in force already. `restored` says that the files were written back to it."""

    note: str = ""
    restored: bool = False

    def lines(self) -> list[str]:
        """Return what is said of it."""
        return [f"unchanged · {self.path} · generation {self.generation}" + (f" · {self.note}" if self.note else "")]


class Applied(Outcome, frozen=True, kw_only=True):
    """A new generation is in force. `effects` say by key when a change takes effect, `restored` that its files were
    written back to the disk, `proven` that its text has passed a probation before.
    """

    kind: ClassVar[OutcomeKind] = "applied"
    event_type: ClassVar[str] = "PROFILE_RELOADED"
    level: ClassVar[Level] = "INFO"

    previous: int
    cause: str
    changes: tuple[Change, ...]
    effects: dict[str, str]
    plan: tuple[str, ...]
    took_ms: float
    restored: bool = False
    proven: bool = True
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what is said of it."""
        counts = [f"{number} {word}" for word in ("live", "rebuild") if (number := _count(self.changes, word))]
        counts = counts or ["override only" if self.cause == "feature" else "text only"]
        head = f"generation {self.previous} → {self.generation} · {self.path} · {', '.join(counts)}"
        cause = "" if self.cause == "edit" else f" · {self.cause} by {self.who}"
        return [
            f"{head} · applied in {self.took_ms:.0f} ms{cause}",
            *change_lines(self.changes, self.effects),
            *(f"  {line}" for line in (*self.plan, *self.notes)),
        ]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        return OutcomeView(
            outcome=self.kind,
            generation=self.generation,
            previous=self.previous,
            lines=tuple(self.lines()),
            keys=tuple(change.key for change in self.changes),
            changes=change_views(self.changes, self.effects),
            plan=self.plan,
            took_ms=self.took_ms,
        )


class Pending(Outcome, frozen=True, kw_only=True):
    """An edit waits, whole, until it is confirmed. `waits` are the keys it waits for, `reason` why."""

    kind: ClassVar[OutcomeKind] = "pending"
    event_type: ClassVar[str] = "PROFILE_PENDING"
    level: ClassVar[Level] = "WARNING"

    reason: str
    waits: tuple[str, ...]
    changes: tuple[Change, ...]
    plan: tuple[str, ...]
    digest: str
    condemned: bool = False
    notes: tuple[str, ...] = ()
    since_ms: int = 0

    def lines(self) -> list[str]:
        """Return what is said of it."""
        still = f"`tradebot reload --confirm` · still on generation {self.generation}"
        return [
            f"waiting · {self.path} · {self.reason} · {still}",
            *change_lines(self.changes, {}),
            *(f"  {line}" for line in (*self.plan, *self.notes)),
        ]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        return OutcomeView(
            outcome=self.kind,
            generation=self.generation,
            lines=tuple(self.lines()),
            keys=self.waits,
            changes=change_views(self.changes, {}),
            plan=self.plan,
        )


class Rejected(Outcome, frozen=True, kw_only=True):
    """An edit has faults, or a part of it could not be built: nothing was applied."""

    kind: ClassVar[OutcomeKind] = "rejected"
    event_type: ClassVar[str] = "PROFILE_REJECTED"
    level: ClassVar[Level] = "WARNING"

    faults: tuple[Fault, ...] = ()
    reason: str = ""

    def lines(self) -> list[str]:
        """Return what is said of it."""
        count = len(self.faults)
        why = self.reason or f"{count} {'fault' if count == 1 else 'faults'}"
        return [
            f"rejected · {self.path} · {why} · still on generation {self.generation}",
            *(f"  {fault}" for fault in self.faults),
        ]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        faults = tuple(
            FaultView(file=one.file, line=one.line, column=one.column, key=one.key, message=one.message)
            for one in self.faults
        )
        keys = tuple(dict.fromkeys(one.key for one in self.faults if one.key))
        return OutcomeView(
            outcome=self.kind, generation=self.generation, lines=tuple(self.lines()), keys=keys, faults=faults
        )


class Refused(Outcome, frozen=True, kw_only=True):
    """An edit needs a restart: nothing of it was applied."""

    kind: ClassVar[OutcomeKind] = "refused"
    event_type: ClassVar[str] = "PROFILE_REFUSED"
    level: ClassVar[Level] = "WARNING"

    keys: tuple[str, ...]
    changes: tuple[Change, ...]
    accepted: bool = False
    notes: tuple[str, ...] = ()
    then: str = "a start runs the generation in force until this is accepted: `tradebot reload --confirm`"

    def lines(self) -> list[str]:
        """Return what is said of it."""
        head = (
            f"refused · {self.path} · needs a restart: {', '.join(self.keys)} · still on generation {self.generation}"
        )
        then = "accepted: the next start runs it" if self.accepted else self.then
        return [head, *change_lines(self.changes, {}), *(f"  {line}" for line in self.notes), f"  {then}"]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        return OutcomeView(
            outcome=self.kind,
            generation=self.generation,
            lines=tuple(self.lines()),
            keys=self.keys,
            changes=change_views(self.changes, {}),
        )


class RolledBack(Outcome, frozen=True, kw_only=True):
    """What had been applied was taken back. `condemned` is what did harm or could not be swapped in.

    `restored` is the good generation whose text `generation` has, 0 where a swap failed and what was is in force.
    """

    kind: ClassVar[OutcomeKind] = "rolled_back"
    event_type: ClassVar[str] = "PROFILE_ROLLED_BACK"
    level: ClassVar[Level] = "ERROR"

    condemned: int
    restored: int = 0
    reason: str
    changes: tuple[Change, ...] = ()
    plan: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what is said of it."""
        if not self.restored:
            return [f"rolled back · {self.path} · {self.reason} · still on generation {self.generation}"]
        return [
            f"rolled back · generation {self.condemned} → {self.generation} · {self.path} · {self.reason}",
            *change_lines(self.changes, {}),
            *(f"  {line}" for line in self.plan),
            f"  as in generation {self.restored}; no file was written: what the files say waits for "
            "`tradebot reload --confirm`",
        ]

    def view(self) -> OutcomeView:
        """Return what is told to the outside."""
        return OutcomeView(
            outcome=self.kind,
            generation=self.generation,
            previous=self.condemned,
            lines=tuple(self.lines()),
            keys=tuple(change.key for change in self.changes),
            changes=change_views(self.changes, {}),
            plan=self.plan,
        )


class Fatal(Outcome, frozen=True, kw_only=True):
    """What had been applied could not be taken back: the run ends cleanly, with exit code 4.

    `next_start` is what a start runs then, None for the generation in force, 0 where there is none to run.
    """

    kind: ClassVar[OutcomeKind] = "fatal"
    event_type: ClassVar[str] = "PROFILE_FATAL"
    level: ClassVar[Level] = "ERROR"

    reason: str
    next_start: int | None = None

    def lines(self) -> list[str]:
        """Return what is said of it."""
        start = self.generation if self.next_start is None else self.next_start
        then = f"a start runs generation {start}" if start else "a start wants another text, or `--accept`"
        return [f"fatal · {self.path} · {self.reason} · the run ends; {then}"]


AnyOutcome = Unchanged | Applied | Pending | Rejected | Refused | RolledBack | Fatal


def change_lines(changes: Sequence[Change], effects: dict[str, str]) -> list[str]:
    """Return one line a change: key, old → new, and when it takes effect."""
    width = max((len(change.key) for change in changes), default=0)
    lines = []
    for change in changes:
        old, new = change.words()
        effect = effects.get(change.key, "")
        lines.append(f"  {change.key:<{width}}  {old} → {new}" + (f"   {effect}" if effect else ""))
    return lines


def change_views(changes: Sequence[Change], effects: dict[str, str]) -> tuple[ChangeView, ...]:
    """Return the changes as they are told to the outside."""
    return tuple(
        ChangeView(
            key=change.key,
            old=change.words()[0],
            new=change.words()[1],
            origin=str(change.origin),
            reload=change.reload,
            looser=change.looser,
            effect=effects.get(change.key, ""),
        )
        for change in changes
    )


def _count(changes: Sequence[Change], reload: str) -> int:
    return sum(1 for change in changes if change.reload == reload)
