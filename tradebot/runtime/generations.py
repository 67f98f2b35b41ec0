"""Which generation does a start run? Chosen from the profile on the disk and the history; asked by the command line.

A text that waits for a confirmation, needs a restart nobody has accepted, or was rolled back is not run by a start:
the last good generation is. A faulty text ends the start, unless something is held and the last good generation
says that its exits go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, structs

from tradebot.config.diff import Change, diff
from tradebot.config.extends import ProfileFile
from tradebot.config.faults import Fault, ProfileInvalid
from tradebot.config.identity import identity
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.sections.features import Features
from tradebot.config.show import effective
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import Cause, Generation, ProfileText, Switch, Verdict
from tradebot.runtime.displacing import edited
from tradebot.storage.history import History
from tradebot.storage.home import PROFILES

EXITS_ONLY = "start"
"""Who switches buying off for a start on the last good generation of a faulty profile."""

VERDICTS = 1000
"""So many of the latest verdicts a start asks; older ones are on texts of long ago."""


class Choice(Struct, frozen=True):
    """What a start runs. `continues` is the generation that is in force already, None where a new one begins.

    `note` says why it is not the text on the disk, "" where it is. `faults` are that text's, where it is faulty: then
    it is run only if something is held.
    """

    loaded: Loaded
    switches: tuple[Switch, ...] = ()
    continues: Generation | None = None
    cause: Cause = "start"
    note: str = ""
    faults: tuple[Fault, ...] = ()
    accepted: str = ""
    """Digest of a text whose verdict this start overrules."""
    seen: int = 0
    """The generation that was in force when this was chosen, 0 where the history had none."""
    restoring: int = 0
    """The generation whose files a rollback was writing when the last run ended."""
    changes: tuple[Change, ...] = ()
    """What it changes against the generation that was in force before."""

    def unconfirmed(self, known: int, begun: int) -> list[str]:
        """Return the limits that this start loosens though nobody has confirmed it, all of them as "" if not known.

        `known` is the last generation that the machine has heard of, `begun` the one that this run begins under.
        """
        if not self.instead:
            return []
        if self.continues is not None:
            return [""] if known < begun else []  # the start that began it was killed before the machine heard of it
        return [one.key for one in self.changes if one.looser]

    instead: bool = False
    """Whether an earlier text is run in the place of the one on the disk, which may not be run."""
    condemns: str = ""
    """Why the generation in force is left, and its text condemned: its starts were killed again and again."""


def choose(profile: str, environ: Mapping[str, str] = os.environ, *, accept: bool = False) -> Choice:
    """Return what a start on `profile` runs; `accept` runs the text on the disk whatever was found about it.

    Raises ProfileInvalid where nothing may be run.
    """
    where = identity(profile, environ)
    past = _past(Path(where.state_dir) / where.instance / PROFILES, where.path)
    if past is None:
        return Choice(load_profile(profile, environ))
    choice = _chosen(past, profile, where.path, environ, accept=accept)
    seen = 0 if past.in_force is None else past.in_force.number
    changes = _changes(past, choice.loaded, environ) if choice.continues is None else ()
    return structs.replace(choice, seen=seen, changes=changes)


def _chosen(past: _Past, profile: str, path: str, environ: Mapping[str, str], *, accept: bool) -> Choice:
    target = past.restoring
    if target is not None and same_profile(target, path) and not edited(target.files, past.displaced):
        with suppress(ProfileInvalid):  # a newer version refuses it: the files on the disk decide, as ever
            return _interrupted(past, target, environ)
    try:
        loaded = load_profile(profile, environ)
    except ProfileInvalid as invalid:
        return _faulty(past, path, environ, invalid)
    verdict = past.verdicts.get(loaded.digest)
    if accept:
        judged = verdict is not None or loaded.digest in past.trial
        return _as_written(past, loaded, environ, accepted=loaded.digest if judged else "")
    if verdict is not None and verdict.kind != "rejected":
        return _instead(past, loaded, verdict, environ)
    killed = _killed(past, loaded)
    if killed is not None:
        choice = _instead(structs.replace(past, last_good=past.other), loaded, killed, environ)
        return structs.replace(choice, condemns=killed.reason)
    return _as_written(past, loaded, environ, accepted="" if verdict is None else verdict.digest)


def _killed(past: _Past, loaded: Loaded) -> Verdict | None:
    """Return what is found about the text in force where start after start of it was killed on its probation."""
    most, count = loaded.profile.reload.probation_starts, past.trial.get(loaded.digest, 0)
    force = past.in_force
    if most is None or count < most or past.other is None or force is None or force.digest != loaded.digest:
        return None
    starts = "a start was" if count == 1 else f"{count} starts in a row were"
    return Verdict(loaded.digest, "condemned", 0, "start", (), reason=f"{starts} killed on its probation")


def _changes(past: _Past, loaded: Loaded, environ: Mapping[str, str]) -> tuple[Change, ...]:
    """Return what `loaded` changes against the generation in force; nothing where that one cannot be read any more."""
    before = past.in_force
    if before is None:
        return ()
    try:
        known = load_profile(before.path, environ, switches=toggles(before.switches), stored=stored(before))
    except ProfileInvalid:
        return ()
    return diff(known, loaded)


def stored(generation: Generation) -> tuple[ProfileFile, ...]:
    """Return a generation's files as the loader takes them."""
    return tuple(ProfileFile(one.path, one.source) for one in generation.files)


def toggles(switches: tuple[Switch, ...]) -> dict[str, bool]:
    """Return the overrides as the loader takes them."""
    return {one.feature: one.on for one in switches}


def lasting(switches: tuple[Switch, ...]) -> tuple[Switch, ...]:
    """Return the toggles without the one that a start on a faulty profile set."""
    return tuple(one for one in switches if one.who != EXITS_ONLY)


def falls_back_to(history: History, generation: Generation) -> int:
    """Return what a breach on the probation of `generation` goes back to, 0 where it is not to be watched.

    It is not where its text has passed a probation, or where there is no other. Waits for a disk; raises StorageFailed.
    """
    if generation.state == "good" or history.was_good(generation.digest):
        return 0
    good = history.last_good(generation.digest, generation.path)
    return 0 if good is None else good.number


def same_profile(generation: Generation, path: str) -> bool:
    """Whether a generation is one of the profile at `path`."""
    return os.path.abspath(generation.path) == os.path.abspath(path)


class _Past(Struct):
    """What the history says, read at once."""

    in_force: Generation | None
    last_good: Generation | None
    switches: tuple[Switch, ...]
    verdicts: dict[str, Verdict]
    restoring: Generation | None
    displaced: tuple[ProfileText, ...]
    trial: dict[str, int]
    other: Generation | None  # the last good one but for the text on trial


def _past(store: Path, path: str) -> _Past | None:
    """Return what the history in `store` says of the profile at `path`, None where there is none or it cannot be read.

    In the latter case the run, which opens it to write, sets it aside, or says why it cannot begin.
    """
    try:
        history = History.read_only(store)
        if history is None:
            return None
        try:
            restoring, trial = history.restoring(), history.trial()
            past = _Past(
                in_force=history.in_force(),
                last_good=history.last_good(of=path),
                switches=tuple(one for one in history.switches() if one.feature in Features.model_fields),
                verdicts={one.digest: one for one in history.verdicts(VERDICTS)},
                restoring=None if restoring is None else history.generation(restoring.number),
                displaced=() if restoring is None else restoring.displaced,
                trial=trial,
                other=history.last_good(next(iter(trial), ""), path),
            )
        finally:
            history.close()
    except StorageFailed:
        return None
    return past


def _as_written(past: _Past, loaded: Loaded, environ: Mapping[str, str], accepted: str) -> Choice:
    """Run the text on the disk, with the overrides; it goes on as the generation in force where nothing differs."""
    loaded = load_profile(loaded.path, environ, switches=toggles(past.switches))
    return Choice(loaded, past.switches, _continued(past, loaded), accepted=accepted)


def _continued(past: _Past, loaded: Loaded) -> Generation | None:
    before = past.in_force
    if before is None or not same_profile(before, loaded.path) or before.state not in {"applied", "good"}:
        return None
    same = before.digest == loaded.digest and before.effective == effective(loaded)
    return before if same and before.switches == past.switches else None


def _instead(past: _Past, loaded: Loaded, verdict: Verdict, environ: Mapping[str, str]) -> Choice:
    """Run the last good generation instead of a text that may not be run."""
    found = {
        "pending": "waits for a confirmation",
        "refused": "needs a restart that was not accepted",
        "condemned": "was rolled back",
    }[verdict.kind]
    reason = f" ({verdict.reason})" if verdict.reason else ""
    why = f"{loaded.path} {found}{reason}"
    good = _fallback(past, loaded.path, verdict.digest)
    if good is None:
        message = f"{found}{reason}, and there is no good generation of it: `--accept` runs it all the same"
        raise ProfileInvalid([Fault(loaded.path, 0, 0, "", message)])
    again = load_profile(good.path, environ, switches=toggles(past.switches), stored=stored(good))
    how = "`--accept` at a start, or `tradebot reload --confirm`, runs it"
    note = f"{why}: running generation {good.number} instead; {how}"
    return Choice(again, past.switches, _continued(past, again), note=note, instead=True)


def _fallback(past: _Past, path: str, unless: str) -> Generation | None:
    """Return the generation in force, or else the last good one, of the profile at `path`; never the text `unless`."""
    for one in (past.in_force, past.last_good):
        if one is None or one.digest == unless or not same_profile(one, path):
            continue
        verdict = past.verdicts.get(one.digest)
        if verdict is None or verdict.kind != "condemned":
            return one
    return None


def _faulty(past: _Past, path: str, environ: Mapping[str, str], invalid: ProfileInvalid) -> Choice:
    good = _fallback(past, path, "")
    if good is None:
        raise invalid
    exits_only = Switch(feature="buying", on=False, who=EXITS_ONLY, at_ms=0, why="the profile on the disk is faulty")
    switches = (*past.switches, exits_only)  # one set by hand is under it, and stays when the file is mended
    try:
        loaded = load_profile(good.path, environ, switches=toggles(switches), stored=stored(good))
    except ProfileInvalid:
        raise invalid from None
    if loaded.profile.start.on_faulty != "exits_only":
        raise invalid
    count = len(invalid.faults)
    note = (
        f"{path} has {count} {'fault' if count == 1 else 'faults'}: running generation {good.number} without entries, "
        "as start.on_faulty says"
    )
    return Choice(loaded, switches, note=note, faults=invalid.faults)


def _interrupted(past: _Past, target: Generation, environ: Mapping[str, str]) -> Choice:
    """Go on with a rollback that was writing its files when the last run ended."""
    again = load_profile(target.path, environ, switches=toggles(past.switches), stored=stored(target))
    note = f"a rollback to generation {target.number} was interrupted: it is carried through"
    return Choice(again, past.switches, _continued(past, again), "rollback", note, restoring=target.number)
