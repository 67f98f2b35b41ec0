"""Which old session folders go? Asked once at start."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from msgspec import Struct

from tradebot.storage.files import disk_bytes, reason
from tradebot.storage.session import in_use

_NAME = re.compile(r"\d{8}T\d{6}Z-.+")


class Pruned(Struct, frozen=True):
    """What a pruning did: names of removed folders, how many stayed and what they take, and what could not go."""

    removed: tuple[str, ...]
    kept: int
    kept_bytes: int
    failed: tuple[str, ...]


def prune_sessions(sessions: Path, *, keep: int, max_disk_mb: int, current: Path | None = None) -> Pruned:
    """Remove the oldest sessions until at most `keep` remain and they take at most `max_disk_mb` (10^6 bytes).

    Only folders that a run made are touched, never `current`, never one that a running process holds.
    A folder that cannot be removed is named in `failed`; nothing is raised.
    """
    folders = sorted(_folders(sessions), key=lambda folder: _age(folder.name), reverse=True)
    removed: list[str] = []
    failed: list[str] = []
    kept = kept_bytes = 0
    beyond = False
    for folder in folders:  # newest first
        size = disk_bytes(folder)
        beyond = beyond or kept >= keep or kept_bytes + size > max_disk_mb * 1_000_000
        if not beyond or (current is not None and folder.name == current.name) or in_use(folder):
            kept, kept_bytes = kept + 1, kept_bytes + size
            continue
        try:
            shutil.rmtree(folder)
            removed.append(folder.name)
        except OSError as error:
            failed.append(f"{folder.name} ({reason(error)})")
    return Pruned(removed=tuple(removed), kept=kept, kept_bytes=kept_bytes, failed=tuple(failed))


def _folders(sessions: Path) -> list[Path]:
    if not sessions.is_dir():
        return []
    return [
        entry
        for entry in sessions.iterdir()
        if _NAME.fullmatch(entry.name) and not entry.is_symlink() and (entry / "session.json").is_file()
    ]


def _age(name: str) -> tuple[str, str, int]:
    """Return what orders session names by age: `…-demo-2` is younger than `…-demo` of the same second."""
    stamp, _, rest = name.partition("-")
    base, _, number = rest.rpartition("-")
    return (stamp, base, int(number)) if base and number.isdigit() else (stamp, rest, 1)
