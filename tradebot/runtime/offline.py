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
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import Generation, Switch
from tradebot.ports import NotNow
from tradebot.runtime.applying import Target, write_down
from tradebot.runtime.displacing import EDITED, files_back, on_disk, put_back, restored_words
from tradebot.runtime.generations import lasting, stored, toggles
from tradebot.runtime.outcomes import change_lines
from tradebot.runtime.request import Request
from tradebot.runtime.returning import switched, wanted_generation
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
        switches = lasting(switched(force, Request("switch", who, feature=feature, on=on), now_ms))
        if toggles(switches) == toggles(force.switches):
            return [f"unchanged · {force.path} · generation {force.number}"]
        loaded = _load(force, switches)
        return _write(history, force, Target(loaded, "feature", who, switches, pinned=force.pinned), now_ms)


def rollback(home: Path, number: int | None, who: str, now_ms: int) -> list[str]:
    """Bring a generation back, files and all; None means the one before. Return what was done, in lines.

    The one in force comes back where the files on the disk say something else, as an edit with faults does.

    Raises NotNow where there is no such generation or its files cannot be written, and as `switch`.
    """
    with _held(home) as (history, force):
        _in_the_bots_folder(force, home)
        if number == force.number and force.files and on_disk(force.files) != force.files:
            if why := files_back(history, force):
                raise NotNow(f"the files cannot be written: {why}")
            return [f"generation {number} goes on · {force.path} · from the next start", restored_words(force.files)]
        found = wanted_generation(history, force, force.path, number)
        if why := writable(found.files):
            raise NotNow(f"the files cannot be written: {why}")
        switches = lasting(found.switches if found.digest == force.digest else force.switches)
        loaded = _load(found, switches)
        reason = f"to generation {found.number}"
        target = Target(loaded, "rollback", who, switches, loaded.digest, restore=True, reason=reason)
        lines = _write(history, force, target, now_ms)
        why = put_back(history, found.files)
        if why == EDITED:
            history.end_restore()
            return [*lines, f"the files are not restored: {why}, which the next start takes for an edit"]
        if why:
            return [*lines, f"the files are not restored ({why}): the next start carries it through"]
        history.end_restore()
        return [*lines, restored_words(found.files)]


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


def _in_the_bots_folder(force: Generation, home: Path) -> None:
    """Raise NotNow where a relative path leads, from here, to another folder than the bot's: no file is put there."""
    if os.path.isabs(force.path):
        return
    bot = _load(force, force.switches).profile.bot
    same = Path(bot.state_dir, bot.instance).resolve() == home.resolve()
    if not same or (os.path.isabs(bot.state_dir) and not os.path.lexists(force.path)):
        raise NotNow(f"{force.path} is not the bot's as seen from {os.getcwd()}: type it in the folder the bot runs in")


def _load(generation: Generation, switches: tuple[Switch, ...], environ: Mapping[str, str] = os.environ) -> Loaded:
    return load_profile(generation.path, environ, switches=toggles(switches), stored=stored(generation))


def _write(history: History, force: Generation, target: Target, now_ms: int) -> list[str]:
    """Write the new generation down and into force; return what was done.

    A text that has not passed a probation yet is put on one by the next start.
    """
    changes = diff(_load(force, force.switches), target.loaded)
    good = history.was_good(target.loaded.digest) if target.restore else force.state == "good"
    number = write_down(history, target, changes, force.number, now_ms).number
    try:
        history.commit(number, now_ms, switches=lasting(target.switches), settle=target.settle)
    except StorageFailed as error:
        history.fail(number, now_ms, str(error))
        if target.restore:
            history.end_restore()
        raise
    if good:
        history.passed(number, now_ms)
    head = f"generation {force.number} → {number} · {target.loaded.path} · {target.cause} by {target.who}"
    return [f"{head} · no bot runs: in force from the next start", *change_lines(changes, {})]
