"""What is a version of the profile that was, is or may come into force? Asked by the history and by who shows it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Cause = Literal["start", "edit", "confirm", "rollback", "feature", "automatic"]
"""Why a generation came to be: a start, an edit, a confirmed edit, a rollback, a toggle, the bot's own protection."""

GenerationState = Literal["preparing", "applied", "good", "condemned", "failed"]
"""Written down, in force (or was), in force and past its probation, rolled back by a guard, never came into force."""

VerdictKind = Literal["pending", "refused", "rejected", "condemned"]
"""A text that waits for a confirmation, needs a restart, has faults, or was rolled back by a guard or a crash."""


class ProfileText(Struct, frozen=True):
    """One profile file, byte for byte; `path` as it was found."""

    path: str
    source: bytes


class Switch(Struct, frozen=True):
    """A toggle that was set by hand or by the bot itself, over whatever the profile says, until it is cleared."""

    feature: str
    on: bool
    who: str
    at_ms: int
    why: str = ""


class Generation(Struct, frozen=True):
    """One version of the effective profile. `files` are all its files, the profile itself last.

    `digest` identifies the text (files in order), `effective` is the whole profile in force as TOML, `changes` are
    lines for people, `switches` the overrides in force with it. `pinned` says that it is in force although the files
    on the disk say something else. `previous` is the generation before it, 0 for the first.
    """

    number: int
    at_ms: int
    cause: Cause
    who: str
    path: str
    digest: str
    files: tuple[ProfileText, ...]
    effective: str
    changes: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()
    previous: int = 0
    pinned: bool = False
    state: GenerationState = "preparing"
    reason: str = ""
    good_ms: int = 0


class Verdict(Struct, frozen=True):
    """What was found about a text that is not in force. `keys` are the dotted keys it is about, `reason` says why."""

    digest: str
    kind: VerdictKind
    at_ms: int
    who: str
    files: tuple[ProfileText, ...]
    keys: tuple[str, ...] = ()
    reason: str = ""
    generation: int = 0  # a condemned text's generation
