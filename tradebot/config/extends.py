"""Which files make up a profile? The one asked for and all that it extends. Asked by the loader."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Protocol

from msgspec import Struct, field

from tradebot.config.faults import Fault, ProfileInvalid, dotted, shown
from tradebot.config.merge import Origin, Origins, merged, overlay
from tradebot.config.positions import Mark
from tradebot.config.reading import LARGEST_BYTES, Read, read

FOLDER = "profiles"
SUFFIX = ".toml"
EXTENDS = "extends"

MOST_FILES = 100
"""So many files make up a profile at most: more is a mistake, and each is read at every look."""

_LONGEST_NAME = 4_096  # of a path, on Linux


class ProfileFile(Struct, frozen=True):
    """A file that was read, byte for byte."""

    path: str
    source: bytes


class Shelf(Protocol):
    """Where the files of a profile are read from."""

    def content(self, path: str) -> bytes | str:
        """Return a file's content, or why it cannot be had."""
        ...

    def same(self, path: str) -> str:
        """Return a name that every way to the same file has in common."""
        ...


class Disk:
    """The files as they are on the disk now."""

    def content(self, path: str) -> bytes | str:
        """Return a file's content, or why it cannot be had, with a hint at the one that may be meant."""
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    return f"{path} is no file, but a pipe or a device"
                return bounded(path, file.read(LARGEST_BYTES + 1))
        except IsADirectoryError:
            return f"{path} is a folder"
        except OSError as error:
            if os.path.islink(path) and error.errno in (errno.ELOOP, errno.ENOENT):
                return _led_nowhere(path)
            if error.errno == errno.ENOENT:
                return f"there is no file {path}{_near(path, os.path.dirname(path), by_name=False)}"
            return f"{path} cannot be read: {(error.strerror or str(error)).lower()}"

    def same(self, path: str) -> str:
        """Return the real path: links are followed."""
        return os.path.realpath(path)


class Sources(Struct):
    """What the files say together: the merged tree, where each value stands, and the faults met on the way."""

    path: str
    tree: dict[str, Any] = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    files: tuple[ProfileFile, ...] = ()
    faults: list[Fault] = field(default_factory=list)


def resolve(name_or_path: str) -> str:
    """Return the file that a profile's name means: a path, or a name in `profiles/`, `.toml` understood.

    Raises `ProfileInvalid` where there is none.
    """
    if not name_or_path:
        raise ProfileInvalid([Fault("profile", 0, 0, "", "its name is empty")])
    if not _encodable(name_or_path):
        message = "its name is not UTF-8, and could not be told in records and logs: rename it"
        raise ProfileInvalid([Fault(shown(name_or_path), 0, 0, "", message)])
    tried = [name_or_path] if name_or_path.endswith(SUFFIX) else [name_or_path, name_or_path + SUFFIX]
    if not os.path.isabs(name_or_path) and os.path.normpath(name_or_path).split(os.sep)[0] != FOLDER:
        tried += [os.path.join(FOLDER, name) for name in tried]
    for path in tried:
        if os.path.exists(path) and not os.path.isdir(path):
            return path
    folder = next((path for path in tried if os.path.isdir(path)), None)
    if folder is not None:
        raise ProfileInvalid([Fault(name_or_path, 0, 0, "", _said_of(name_or_path, f"{folder} is a folder"))])
    lost = [_led_nowhere(path) for path in tried if os.path.islink(path)]
    if lost:
        raise ProfileInvalid([Fault(name_or_path, 0, 0, "", _said_of(name_or_path, lost[0]))])
    message = f"there is no such profile; looked for {', '.join(tried)}"
    raise ProfileInvalid([Fault(name_or_path, 0, 0, "", message + _near(name_or_path, os.path.dirname(name_or_path)))])


def _said_of(path: str, words: str) -> str:
    """Return what is said of a file where its name stands before it: it is not named twice."""
    return words.removeprefix(f"{path} ")


def bounded(path: str, source: bytes) -> bytes | str:
    """Return a file's content, or that it is too large for a profile."""
    if len(source) > LARGEST_BYTES:
        return f"{path} is larger than {LARGEST_BYTES // 1_048_576} MiB: a profile is a few kilobytes"
    return source


def gather(name_or_path: str) -> Sources:
    """Read a profile and everything it extends; raises `ProfileInvalid` only where the profile itself is not there."""
    return walked(resolve(name_or_path), Disk())


def walked(path: str, shelf: Shelf, parse: Callable[[str, bytes], Read | Fault] = read) -> Sources:
    """Read the profile at `path` and everything it extends from `shelf`.

    Raises `ProfileInvalid` only where the profile itself is not there.
    """
    sources = Sources(path)
    source = shelf.content(path)
    if isinstance(source, str):
        raise ProfileInvalid([Fault(path, 0, 0, "", _said_of(path, source))])
    _Gathering(sources, shelf, parse).add(path, source, ())
    return sources


class _Gathering:
    """One walk along `extends`, lowest files first; a file that is reached twice is laid once, at its lowest place."""

    def __init__(self, sources: Sources, shelf: Shelf, parse: Callable[[str, bytes], Read | Fault]) -> None:
        self._sources = sources
        self._shelf = shelf
        self._parse = parse
        self._laid: set[str] = set()
        self._missed = 0
        self._beyond: dict[str, Mark] = {}
        self._told: set[Fault] = set()

    def add(self, path: str, source: bytes, chain: tuple[str, ...]) -> None:
        if self._shelf.same(path) in self._laid:
            self._name_again(path)
            return
        self._laid.add(self._shelf.same(path))
        parsed = self._parse(path, source)
        if isinstance(parsed, Fault):
            self._fault(parsed)
            return
        for place, mark in self._extended(parsed):
            self._extend(path, place, mark, (*chain, path))
        self._lay(parsed)

    def _name_again(self, path: str) -> None:
        """Keep a file that was laid under its other name too, right behind: whoever reads the files again needs it."""
        files = self._sources.files
        if any(file.path == path for file in files):
            return
        same = self._shelf.same(path)
        places = [index for index, file in enumerate(files) if self._shelf.same(file.path) == same]
        if places:  # none where the file has a fault
            behind = places[-1] + 1
            self._sources.files = (*files[:behind], ProfileFile(path, files[places[-1]].source), *files[behind:])

    def _fault(self, fault: Fault) -> None:
        if fault not in self._told:
            self._told.add(fault)
            self._sources.faults.append(fault)

    def _extended(self, parsed: Read) -> list[tuple[str, Mark]]:
        """Return what a file extends, with the place of each name."""
        if EXTENDS not in parsed.tree:
            return []
        value = parsed.tree[EXTENDS]
        names = value if isinstance(value, list) else [value]
        found: list[tuple[str, Mark]] = []
        for index, name in enumerate(names):
            element = (EXTENDS, index) if isinstance(value, list) else (EXTENDS,)
            mark = parsed.marks[element]
            if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and "\0" not in name:
                found.append((name, mark))
            else:
                message = f'{shown(name)} is not a file: write "base.toml" or ["base.toml", "more.toml"]'
                self._fault(Fault(parsed.path, mark.line, mark.column, dotted(element), message))
        return found

    def _extend(self, by: str, name: str, mark: Mark, chain: tuple[str, ...]) -> None:
        path = os.path.normpath(os.path.join(os.path.dirname(by), name))
        known = [self._shelf.same(other) for other in chain]
        message: str | bytes
        if len(self._laid) + self._missed >= MOST_FILES:
            message = f"more than {MOST_FILES} files make up this profile"
            mark = self._beyond.setdefault(by, mark)  # told once for each file
        elif self._shelf.same(path) in known:
            ring = [*chain[known.index(self._shelf.same(path)) :], path]
            message = f"goes in a circle: {' -> '.join(map(os.path.basename, ring))}"
        else:
            message = self._shelf.content(path)
        if isinstance(message, bytes):
            self.add(path, message, chain)
        else:
            self._missed += 1
            self._fault(Fault(by, mark.line, mark.column, EXTENDS, message))

    def _lay(self, parsed: Read) -> None:
        """Lay a file's own words over what is there."""
        sources = self._sources
        own = {key: value for key, value in parsed.tree.items() if key != EXTENDS}
        rank = len(sources.files)

        def origin(path: tuple[str | int, ...]) -> Origin:
            mark = parsed.marks[path]
            return Origin(parsed.path, mark.line, mark.column, rank=rank)

        overlay(sources.origins, sources.tree, own, origin)
        sources.tree = merged(sources.tree, own)
        sources.files = (*sources.files, ProfileFile(parsed.path, parsed.source))


def _without_waiting(path: str, flags: int) -> int:
    """Open `path`; a pipe is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _led_nowhere(path: str) -> str:
    """Return what is wrong with a link that leads to no file."""
    target = os.readlink(path)
    if os.path.normpath(os.path.join(os.path.dirname(path), target)) == os.path.normpath(path):
        return f"{path} is a link to itself"
    return f"{path} is a link to {target}, which leads to no file"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _near(path: str, folder: str, *, by_name: bool = True) -> str:
    """Return a hint at the profile that may have been meant, "" where none is near.

    One in `profiles/` is told by its name, or (not `by_name`) by its way from `folder`.
    """
    known: dict[str, str] = {}
    for place in dict.fromkeys((folder or os.curdir, FOLDER)):
        way = "" if by_name else os.path.relpath(place, folder or os.curdir)
        for name in _listed(place):
            if name.endswith(SUFFIX):
                known.setdefault(name.removesuffix(SUFFIX), os.path.normpath(os.path.join(way, name)))
    near = get_close_matches(os.path.basename(path).removesuffix(SUFFIX), list(known), 1, 0.6)
    return f"; did you mean {known[near[0]]}?" if near else ""


def _listed(folder: str) -> list[str]:
    """Return the names in a folder; none where it may not be looked into: a hint is no reason to fail."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
