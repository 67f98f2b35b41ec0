"""How do a generation's files get back to their places, byte for byte, all of them or none? Asked by a rollback."""

from __future__ import annotations

import errno
import os
import pwd
import re
import secrets
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import ProfileText
from tradebot.storage.files import reason, sync_folder

_SUFFIX = ".restore"
"""How the name of a file ends that is being put in place, or kept until all are; a dot begins it."""

_MOUNTS = Path("/proc/self/mountinfo")


class _Place(Struct):
    """Where one file goes: `path` as named, `target` behind all links, `old` what stands there, None for nothing."""

    path: str
    target: Path
    source: bytes
    old: bytes | None
    status: os.stat_result | None
    new_name: Path | None = None
    old_name: Path | None = None
    replaced: bool = False


def writable(files: Sequence[ProfileText]) -> str:
    """Return in words why `files` cannot all be put back, "" where they can; nothing is touched.

    A file that holds its bytes already needs nothing.
    """
    try:
        places = _places(files)
    except StorageFailed as error:
        return str(error)
    return _obstacle(places)


def restore(files: Sequence[ProfileText]) -> tuple[str, ...]:
    """Put `files` back, each atomically and durably; return the paths of those that were not as they should be.

    A link stays a link, its target is replaced; mode and, where the system lets us, owner stay. Missing files and
    folders are made again, leftovers of a restore that was cut off are removed.
    Raises StorageFailed naming the file; every file is then as it was, or the text names those that are not.
    """
    places = _places(files)
    obstacle = _obstacle(places)
    if obstacle:
        raise StorageFailed(obstacle)
    _sweep(files)
    made: list[Path] = []
    at = ""
    try:
        for place in places:
            at = place.path
            _make_folders(place.target.parent, made)
            _prepare(place)
        for place in places:
            at = place.path
            _replace(place)
        for folder in sorted({place.target.parent for place in places} | {folder.parent for folder in made}):
            at = str(folder)
            sync_folder(folder)
    except OSError as error:
        lost = _put_back(places, made)
        end = f"; not put back: {lost}" if lost else "; every file is as it was"
        raise StorageFailed(f"{at}: cannot be put back to its generation ({reason(error)}){end}") from error
    _remove(place.old_name for place in places)
    return tuple(place.path for place in places)


def _places(files: Sequence[ProfileText]) -> list[_Place]:
    """Return what must be written: files that do not hold their bytes. Raises StorageFailed."""
    wanted: dict[Path, ProfileText] = {}
    places: list[_Place] = []
    for file in files:
        target = Path(os.path.realpath(file.path))
        first = wanted.setdefault(target, file)
        if first.source != file.source:
            raise StorageFailed(f"{file.path}: the same file as {first.path}, which is to hold another text")
        if first is not file:
            continue
        try:
            status, old = _read(target)
        except OSError as error:
            raise StorageFailed(f"{file.path}: cannot be read ({reason(error)})") from error
        if status is not None and old is None:
            raise StorageFailed(f"{file.path}: is no file")
        if old != file.source:
            places.append(_Place(path=file.path, target=target, source=file.source, old=old, status=status))
    return places


def _read(target: Path) -> tuple[os.stat_result | None, bytes | None]:
    """Return what the system says of `target` and its bytes, None each for what there is not. Raises OSError."""
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None, None
    if stat.S_ISLNK(status.st_mode):
        target.stat()  # a chain of links without an end, which raises
    return status, target.read_bytes() if stat.S_ISREG(status.st_mode) else None


def _obstacle(places: Sequence[_Place]) -> str:
    mounts = _mount_points()
    for place in places:
        try:
            why = _forbidden(place, mounts)
        except OSError as error:  # a folder that goes away that moment
            why = f"cannot be looked at ({reason(error)})"
        if why:
            return f"{place.path}: {why}"
    return ""


def _forbidden(place: _Place, mounts: frozenset[str]) -> str:
    """Return why `place` cannot be written, "" where it can."""
    folder = place.target.parent
    if any(part.startswith("..") for part in place.target.parts):
        return "comes from a mounted ConfigMap or Secret; change it there"
    if str(place.target) in mounts:
        return "is mounted by itself and can only be changed in place; change it where it is mounted from"
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is no folder"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is on a read-only file system"
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return f"the folder {folder} may not be written"
    return _foreign(place.target, place.status, folder.stat())


def _foreign(target: Path, status: os.stat_result | None, folder: os.stat_result) -> str:
    """Return why a file of somebody else stays, "" for our own or one that we may change."""
    us = os.geteuid()
    if status is None or us in {0, status.st_uid}:
        return ""
    owner = _name(status.st_uid)
    if not os.access(target, os.W_OK, effective_ids=True):
        return f"belongs to {owner} and may not be written"
    if folder.st_mode & stat.S_ISVTX and us != folder.st_uid:
        return f"belongs to {owner}, and {target.parent} lets only owners replace their files"
    return ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _mount_points() -> frozenset[str]:
    """Return every mount point; none where the system does not list them."""
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines)


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _prepare(place: _Place) -> None:
    """Write the new bytes, and a copy of the old ones, beside the target: a full disk shows here. Raises OSError."""
    place.new_name = _beside(place.target)
    _write(place.new_name, place.source, place.status)
    if place.old is not None:
        place.old_name = _beside(place.target)
        _write(place.old_name, place.old, place.status)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}{_SUFFIX}")


def _write(path: Path, data: bytes, like: os.stat_result | None) -> None:
    """Make a file that holds `data`, with mode and owner of `like`; as an editor makes it where there is none."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if like is None else 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        if like is not None:
            for owner in ((-1, like.st_gid), (like.st_uid, -1)):
                with suppress(PermissionError):  # only the system's own user may give files away
                    os.fchown(handle, *owner)
            os.fchmod(handle, stat.S_IMODE(like.st_mode))
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(place: _Place) -> None:
    """Swap the new bytes in. Raises OSError, also where somebody has edited the file since it was read."""
    now, _ = _read(place.target)
    if _version(now) != _version(place.status):
        raise OSError(errno.EBUSY, "it was edited at this very moment")
    if place.new_name is not None:
        place.new_name.replace(place.target)
        place.replaced = True


def _version(status: os.stat_result | None) -> tuple[int, ...]:
    return () if status is None else (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _put_back(places: Sequence[_Place], made: Sequence[Path]) -> str:
    """Undo what was replaced and made; return in words what could not be undone."""
    lost = []
    for place in reversed(places):
        try:
            if not place.replaced:
                continue
            if place.old_name is None:
                place.target.unlink()
            else:
                place.old_name.replace(place.target)
            sync_folder(place.target.parent)
        except OSError as error:
            kept = f", its text is in {place.old_name}" if place.old_name and place.old_name.exists() else ""
            lost.append(f"{place.path} ({reason(error)}{kept})")
            place.old_name = None
    _remove(name for place in places for name in (place.new_name, place.old_name))
    for folder in reversed(made):
        with suppress(OSError):  # somebody put something into it
            folder.rmdir()
    return ", ".join(lost)


def _remove(names: Iterable[Path | None]) -> None:
    """Remove files beside the targets; one that cannot be removed goes with the next restore."""
    for name in names:
        if name is not None:
            with suppress(OSError):
                name.unlink(missing_ok=True)


def _sweep(files: Sequence[ProfileText]) -> None:
    """Remove what a restore of these files left behind when it was cut off; what cannot be removed harms nobody."""
    for target in {Path(os.path.realpath(file.path)) for file in files}:
        leftover = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
        with suppress(OSError):
            _remove([entry for entry in target.parent.iterdir() if leftover.fullmatch(entry.name)])
