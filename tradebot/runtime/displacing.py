"""What becomes of the files on the disk when a generation comes back? Asked by rollbacks and the start after one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tradebot.config.extends import ProfileFile
from tradebot.config.faults import ProfileInvalid
from tradebot.config.kept import digest_of
from tradebot.config.loader import Loaded, load_profile
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import Generation, ProfileText, Verdict
from tradebot.storage.history import History
from tradebot.storage.restore import restore, writable

EDITED = "they were saved again meanwhile"
"""Why a rollback's files are not written: what stands there is newer."""

KNOWN = 1000
"""So many of the latest generations are looked through for a text that is displaced."""


def texts(loaded: Loaded) -> tuple[ProfileText, ...]:
    """Return a profile's files as the history keeps them."""
    return tuple(ProfileText(one.path, one.source) for one in loaded.files)


def on_disk(files: Sequence[ProfileText]) -> tuple[ProfileText, ...]:
    """Return what stands on the disk where `files` would be written; what is not there is left out."""
    found = []
    for one in files:
        try:
            found.append(ProfileText(one.path, Path(one.path).read_bytes()))
        except OSError:
            continue  # not there, or not readable: nothing that could be kept
    return tuple(found)


def keep_displaced(history: History, generation: Generation, displaced: Sequence[ProfileText]) -> None:
    """Keep the texts that a rollback writes over, where no generation and no verdict has them: a text with faults."""
    if displaced == generation.files or not displaced:
        return
    digest = digest_of([ProfileFile(one.path, one.source) for one in displaced])
    known = any(one.digest == digest for one in history.generations(KNOWN)) or history.verdict(digest) is not None
    if not known:
        reason = f"displaced by the rollback {generation.reason}"
        history.judge(Verdict(digest, "rejected", generation.at_ms, generation.who, tuple(displaced), reason=reason))


def put_back(history: History, files: Sequence[ProfileText]) -> str:
    """Write `files` over what the history's mark says they displace; return why that cannot be done, "" where it is.

    A text that is neither of both was saved meanwhile: it stays, and is an edit as any other. Raises StorageFailed
    where the history cannot be read.
    """
    mark = history.restoring()
    if mark is not None and edited(files, mark.displaced):
        return EDITED
    try:
        why = writable(files)
        if not why:
            restore(files)
    except StorageFailed as error:
        return str(error)
    return why


def files_back(history: History, generation: Generation) -> str:
    """Write the files of the generation in force over what the disk says instead, which is kept in the history.

    Returns why that cannot be done, "" where it is. Raises StorageFailed.
    """
    if why := writable(generation.files):
        return why
    displaced = on_disk(generation.files)
    keep_displaced(history, generation, displaced)
    history.begin_restore(generation.number, displaced)
    why = put_back(history, generation.files)
    history.end_restore()
    return why


def restored_words(files: Sequence[ProfileText]) -> str:
    """Return what is said of files that were written back."""
    return f"files restored byte for byte: {', '.join(one.path for one in files)}"


def edited(files: Sequence[ProfileText], displaced: Sequence[ProfileText]) -> bool:
    """Whether the disk holds anything but `files` and what they displace: somebody has saved a newer text."""
    expected = {one.path: one.source for one in displaced}
    now = {one.path: one.source for one in on_disk(files)}
    return any(now.get(one.path) not in {one.source, expected.get(one.path)} for one in files)


def shelve(history: History, generation: Generation, now_ms: int) -> None:
    """Let no start run the text on the disk, over which `generation` is in force. Raises StorageFailed."""
    disk = _disk_text(generation.path)
    if disk is not None and disk.digest != generation.digest:
        reason = f"rolled back by {generation.who}; the files could not be written"
        history.judge(Verdict(disk.digest, "condemned", now_ms, generation.who, texts(disk), reason=reason))


def _disk_text(path: str, environ: Mapping[str, str] = os.environ) -> Loaded | None:
    """Return the profile as it stands on the disk, None where it is faulty: no start runs it then."""
    try:
        return load_profile(path, environ)
    except ProfileInvalid:
        return None
