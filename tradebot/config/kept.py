"""How is a profile's text told from another, and read again from memory? Asked by the loader and the history."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256

from tradebot.config.extends import ProfileFile, Sources, bounded, walked
from tradebot.config.faults import Fault, ProfileInvalid


class Kept:
    """Files that were read once; the disk is not asked.

    A file behind one of the same bytes is the same file by another name: to lay it again would change nothing.
    """

    def __init__(self, files: Sequence[ProfileFile]) -> None:
        self._content = {file.path: file.source for file in files}
        self._same: dict[str, str] = {}
        previous: ProfileFile | None = None
        for file in files:
            again = previous is not None and previous.source == file.source
            name = os.path.normpath(file.path)
            self._same[name] = self.same(previous.path) if again and previous is not None else name
            previous = file

    def content(self, path: str) -> bytes | str:
        """Return a file's content, or that it was not kept."""
        kept = self._content.get(path)
        return f"the file {path} was not kept with this version of the profile" if kept is None else bounded(path, kept)

    def same(self, path: str) -> str:
        """Return the name of the first of those with the same bytes."""
        name = os.path.normpath(path)
        return self._same.get(name, name)


def gather_kept(files: Sequence[ProfileFile]) -> Sources:
    """Read a profile, the last of `files`, and everything it extends from memory."""
    if not files:
        raise ProfileInvalid([Fault("profile", 0, 0, "", "no file of it was kept")])
    return walked(files[-1].path, Kept(files))


def digest_of(files: Sequence[ProfileFile]) -> str:
    """Return what identifies a profile's text: sha256 in hex over its files in order, the profile last.

    A path counts as it leads from the profile's folder, so that another working folder changes nothing.
    """
    total = sha256()
    folder = os.path.dirname(files[-1].path)
    for file in files:
        for part in (_from(folder, file.path).encode(errors="surrogateescape"), file.source):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()


def _from(folder: str, path: str) -> str:
    """Return the way from `folder` to `path`; one that begins at the root beside a relative folder stays as it is."""
    if os.path.isabs(path) != os.path.isabs(folder):
        return os.path.normpath(path)
    return os.path.relpath(path, folder or os.curdir)
