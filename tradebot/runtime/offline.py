"""How is a toggle set, or a generation brought back, while no bot runs? Asked by the command line.

It is done under the home's lock, so that no bot can begin meanwhile. What is done is a generation of its own, as
with a running bot; the next start goes on with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tradebot.config.diff import diff
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.show import effective
from tradebot.domain.generation import Cause, Generation, Switch
from tradebot.ports import NotNow
from tradebot.runtime.applying import on_disk, put_back, texts
from tradebot.runtime.generations import EXITS_ONLY, stored, toggles
from tradebot.runtime.outcomes import change_lines
from tradebot.storage.history import History
from tradebot.storage.home import Home
from tradebot.storage.restore import writable

BUSY_S = 5.0
"""Longest wait for another reader of the history."""


def switch(home: Path, feature: str, on: bool | None, who: str, now_ms: int) -> list[str]:
    """Set a toggle over the profile, None clears it; return what was done, in lines.

    Raises NotNow where nothing has run there yet, CannotStart where a bot runs, ProfileInvalid, StorageFailed.
    """
    with _held(home) as (history, force):
        others = tuple(one for one in force.switches if one.feature != feature and one.who != EXITS_ONLY)
        plain = _load(force, others)
        known = type(plain.profile.features).model_fields
        if feature not in known:
            raise NotNow(f"there is no toggle {feature!r}; there are {', '.join(known)}")
        said = getattr(plain.profile.features, feature)
        switches = others if on is None or on == said else (*others, Switch(feature, on, who, now_ms))
        loaded = _load(force, switches)
        if toggles(switches) == toggles(force.switches):
            return [f"unchanged · {force.path} · generation {force.number}"]
        return _write(history, force, loaded, switches, "feature", who, now_ms)


def rollback(home: Path, number: int | None, who: str, now_ms: int) -> list[str]:
    """Bring a generation back, files and all; None means the one before. Return what was done, in lines.

    Raises NotNow where there is no such generation or its files cannot be written, and as `switch`.
    """
    with _held(home) as (history, force):
        wanted = force.previous if number is None else number
        target = history.generation(wanted) if wanted else None
        if target is None or target.state in {"preparing", "failed"} or not target.files:
            raise NotNow(f"there is no generation {wanted} to go back to: `tradebot profile history` lists them")
        if target.number == force.number:
            raise NotNow(f"generation {target.number} is in force")
        if why := writable(target.files):
            raise NotNow(f"the files cannot be written: {why}")
        same = target.digest == force.digest
        switches = tuple(one for one in (target if same else force).switches if one.who != EXITS_ONLY)
        loaded = _load(target, switches)
        lines = _write(history, force, loaded, switches, "rollback", who, now_ms)
        if why := put_back(target.files):
            return [*lines, f"the files are not restored ({why}): the next start carries it through"]
        history.end_restore()
        return [*lines, f"files restored byte for byte: {', '.join(one.path for one in target.files)}"]


@contextmanager
def _held(home: Path) -> Iterator[tuple[History, Generation]]:
    """Yield the history of `home` and what is in force, while no bot can begin there."""
    if not home.is_dir():
        raise NotNow(f"{home}: no bot has run there yet")
    held = Home.open(home.parent, home.name)
    try:
        history = History.open(held.profiles, BUSY_S)
        try:
            force = history.in_force()
            if force is None:
                raise NotNow(f"{home}: no generation is in force there yet: start the bot first")
            yield history, force
        finally:
            history.close()
    finally:
        held.close()


def _load(generation: Generation, switches: tuple[Switch, ...], environ: Mapping[str, str] = os.environ) -> Loaded:
    return load_profile(generation.path, environ, switches=toggles(switches), stored=stored(generation))


def _write(
    history: History,
    force: Generation,
    loaded: Loaded,
    switches: tuple[Switch, ...],
    cause: Cause,
    who: str,
    now_ms: int,
) -> list[str]:
    """Write the new generation down and into force; return what was done."""
    changes = diff(_load(force, force.switches), loaded)
    generation = Generation(
        number=history.next_number(force.number),
        at_ms=now_ms,
        cause=cause,
        who=who,
        path=loaded.path,
        digest=loaded.digest,
        files=texts(loaded),
        effective=effective(loaded),
        changes=tuple(line.strip() for line in change_lines(changes, {})),
        switches=switches,
        previous=force.number,
    )
    history.begin(generation)
    if cause == "rollback":
        history.begin_restore(generation.number, on_disk(generation.files))
    history.commit(generation.number, now_ms, switches=switches, settle=generation.digest)
    if cause == "rollback" or force.state == "good":
        history.passed(generation.number, now_ms)
    head = f"generation {force.number} → {generation.number} · {loaded.path} · {cause} by {who}"
    return [f"{head} · no bot runs: in force from the next start", *change_lines(changes, {})]
