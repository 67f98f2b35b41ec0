"""Is anything of the bot left in the process? Asked before a run and after it: threads, tasks, children, open files."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

STANDARD_STREAMS = 2
"""The last descriptor of stdin, stdout and stderr."""

LOOK_S = 0.005
"""How often it is looked whether what is left goes by itself."""


class Held(Struct, frozen=True):
    """What the process holds at one moment: threads by name, children by id, open files and sockets by target."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    files: frozenset[tuple[int, str]]


class Leftovers(Struct, frozen=True):
    """What a run left behind, in words; empty when clean."""

    threads: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    threads_started: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return not (self.threads or self.tasks or self.children or self.files)

    @property
    def threads_cleaned_pct(self) -> float:
        """Share of the run's threads that have ended, in per cent."""
        if not self.threads_started:
            return 100.0
        return 100.0 * (1 - len(self.threads) / max(self.threads_started, len(self.threads)))

    def __str__(self) -> str:
        """Return the one line an operator reads."""
        parts = {"threads": self.threads, "tasks": self.tasks, "children": self.children, "files": self.files}
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names) or "nothing"


def held() -> Held:
    """Return what the process holds now."""
    return Held(frozenset(threading.enumerate()), frozenset(_children()), frozenset(_files()))


def left_since(
    before: Held,
    threads_started: int,
    tasks: set[asyncio.Task[Any]],
    ignore: Path | None = None,
    patience_s: float = 0.0,
) -> Leftovers:
    """Return what the process holds beyond `before`; `tasks` are those that never ended.

    Files below the folder `ignore` do not count, nor what is gone within `patience_s`: a library's own thread closes
    what it watched with a moment after it was told to end.
    """
    own = f"{ignore.resolve()}/" if ignore is not None else "\0"
    end = time.monotonic() + patience_s
    while True:
        left = _left(before, held(), threads_started, tasks, own)
        if not (left.files or left.threads) or time.monotonic() >= end:
            return left
        time.sleep(LOOK_S)


def _left(before: Held, now: Held, threads_started: int, tasks: set[asyncio.Task[Any]], own: str) -> Leftovers:
    return Leftovers(
        threads=tuple(sorted(thread.name for thread in now.threads - before.threads if thread.is_alive())),
        tasks=tuple(sorted(task.get_name() for task in tasks)),
        children=tuple(str(pid) for pid in sorted(now.children - before.children)),
        files=tuple(sorted(target for _, target in now.files - before.files if not target.startswith(own))),
        threads_started=threads_started,
    )


def _children() -> set[int]:
    """Return the ids of child processes, where the system tells them (Linux)."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        found.update(int(word) for word in _text(task).split())
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # the thread ended meanwhile
        return ""


def _files() -> set[tuple[int, str]]:
    """Return (descriptor, target) of what is open, where the system tells it (Linux).

    The standard streams are not ours: where the terminal is closed, they come to lead elsewhere.
    """
    found: set[tuple[int, str]] = set()
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return found
    for entry in os.listdir(folder):
        if int(entry) <= STANDARD_STREAMS:
            continue
        try:
            found.add((int(entry), os.readlink(folder / entry)))
        except FileNotFoundError:  # the listing's own descriptor
            continue
    return found
