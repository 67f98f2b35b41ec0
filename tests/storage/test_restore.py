"""Do a generation's files go back byte for byte, all of them or none, through links, and never against the system?"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.disks import mounted
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import ProfileText
from tradebot.storage.restore import restore, writable

OLD, NEW = b"# old\r\n\xff no text \x00", b"# new\n\n"
NOBODY = 65534


def text(path: Path, source: bytes = OLD) -> ProfileText:
    return ProfileText(str(path), source)


def shape(folder: Path) -> dict[str, tuple[int, int, int, bytes | str | None]]:
    """Return everything below a folder: mode, owner, group, and bytes or where a link points to."""
    found: dict[str, tuple[int, int, int, bytes | str | None]] = {}
    for entry in sorted(folder.rglob("*")):
        status = entry.lstat()
        body: bytes | str | None = None
        if entry.is_symlink():
            body = os.readlink(entry)
        elif entry.is_file():
            body = entry.read_bytes()
        found[str(entry.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, body)
    return found


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Yield a folder of nobody's, and be nobody in it; skip where one may not become nobody."""
    if os.geteuid():
        pytest.skip("only root may become somebody else")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        os.chown(name, NOBODY, NOBODY)
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            if not os.access(name, os.W_OK, effective_ids=True):
                pytest.skip("the folder for temporary files is not everybody's")
            yield Path(name)
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_files_get_their_bytes_back_and_only_those_that_differ_are_written(tmp_path: Path) -> None:
    base, profile = tmp_path / "base.toml", tmp_path / "bot.toml"
    base.write_bytes(OLD)
    profile.write_bytes(NEW)
    before = base.stat()
    assert restore([text(base), text(profile)]) == (str(profile),)
    assert (base.read_bytes(), profile.read_bytes()) == (OLD, OLD)
    assert (base.stat().st_ino, base.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(os.listdir(tmp_path)) == ["base.toml", "bot.toml"]
    assert restore([text(base), text(profile)]) == ()
    assert restore([]) == ()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o664, 0o444, 0o755])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "bot.toml"
    path.write_bytes(NEW)
    path.chmod(mode)
    restore([text(path)])
    assert path.read_bytes() == OLD
    assert path.stat().st_mode & 0o7777 == mode


def test_the_owner_stays_where_the_system_lets_us_give_files_away(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")
    path = tmp_path / "bot.toml"
    path.write_bytes(NEW)
    os.chown(path, 1234, 4321)
    restore([text(path)])
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_a_chain_of_links_stays_and_what_it_ends_at_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    real = tmp_path / "real" / "v1.toml"
    real.write_bytes(NEW)
    real.chmod(0o640)
    (tmp_path / "links" / "middle.toml").symlink_to(real)
    (tmp_path / "folder").symlink_to("links")
    link = tmp_path / "bot.toml"
    link.symlink_to("folder/middle.toml")
    before = shape(tmp_path)
    restore([text(link)])
    assert real.read_bytes() == OLD
    after = shape(tmp_path)
    assert after.pop("real/v1.toml")[:3] == before.pop("real/v1.toml")[:3]
    assert after == before


def test_a_relative_path_is_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert restore([ProfileText("bot.toml", OLD)]) == ("bot.toml",)
    assert (tmp_path / "bot.toml").read_bytes() == OLD


def test_what_is_missing_is_made_again_with_its_folders_and_behind_its_link(tmp_path: Path) -> None:
    link = tmp_path / "bot.toml"
    link.symlink_to("gone/deep/bot.toml")
    assert restore([text(tmp_path / "a" / "b" / "base.toml"), text(link)]) != ()
    assert (tmp_path / "a" / "b" / "base.toml").read_bytes() == OLD
    assert link.is_symlink()
    assert (tmp_path / "gone" / "deep" / "bot.toml").read_bytes() == OLD
    mask = os.umask(0)
    os.umask(mask)
    assert link.stat().st_mode & 0o777 == 0o666 & ~mask


def test_one_file_under_two_names_is_written_once_and_cannot_hold_two_texts(tmp_path: Path) -> None:
    path, link = tmp_path / "bot.toml", tmp_path / "link.toml"
    path.write_bytes(NEW)
    link.symlink_to(path)
    assert "the same file as" in writable([text(path), text(link, b"other")])
    with pytest.raises(StorageFailed, match=r"link\.toml: the same file as .*bot\.toml"):
        restore([text(path), text(link, b"other")])
    assert path.read_bytes() == NEW
    assert restore([text(path), text(link)]) == (str(path),)


def test_a_leftover_of_a_restore_that_was_killed_is_hidden_and_goes_with_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_bytes(NEW)
    (tmp_path / ".bot.toml.0123abcd.restore").write_bytes(b"half a pro")
    for name in (".other.toml.0123abcd.restore", ".bot.toml.restore", "bot.toml.0123abcd.restore"):
        (tmp_path / name).write_bytes(b"not ours")
    restore([text(path)])
    names = sorted(os.listdir(tmp_path))
    assert names == [".bot.toml.restore", ".other.toml.0123abcd.restore", "bot.toml", "bot.toml.0123abcd.restore"]


CHILD = """
import sys
from tradebot.domain.generation import ProfileText
from tradebot.storage.restore import restore
number = 0
while True:
    number += 1
    restore([ProfileText(f"{sys.argv[1]}/{name}", bytes([number % 256]) * 60_000) for name in ("a", "b", "deep/c")])
    print(number, flush=True)
"""


def test_readers_and_kills_never_see_a_half_written_file(tmp_path: Path) -> None:
    names = ("a", "b", "deep/c")
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline()
        seen: set[int] = set()
        while len(seen) < 10:
            for name in names:
                data = (tmp_path / name).read_bytes()
                assert data == data[:1] * 60_000
                seen.add(data[0])
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=20)
        for name in names:
            data = (tmp_path / name).read_bytes()
            assert data == data[:1] * 60_000
    restore([text(tmp_path / name) for name in names])
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()) == sorted(names)


# -- all or none -------------------------------------------------------------------------------------


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, *, again: bool = False) -> None:
    """Let the disk fail when a file is renamed to `name`; `again` also when it is put back."""
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target.name == name or (again and target.name == "a.toml" and self.read_bytes() == NEW):
            raise OSError(errno.EIO, "Input/output error", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)


def test_an_error_in_the_middle_puts_back_what_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "a.toml", tmp_path / "new" / "b.toml", tmp_path / "c.toml", tmp_path / "d.toml"]
    for file in (files[0], files[2], files[3]):
        file.write_bytes(NEW)
    files[0].chmod(0o640)
    before = shape(tmp_path)
    fail_at(monkeypatch, "c.toml")
    with pytest.raises(
        StorageFailed, match=r"c\.toml: cannot be put back .*\(Input/output error\); every file is as it"
    ):
        restore([text(file) for file in files])
    assert shape(tmp_path) == before


def test_what_cannot_be_put_back_is_named_with_where_its_text_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for file in files:
        file.write_bytes(NEW)
    fail_at(monkeypatch, "b.toml", again=True)
    with pytest.raises(StorageFailed, match=r"not put back: \S+a\.toml \(Input/output error, its text is in") as raised:
        restore([text(file) for file in files])
    kept = re.search(r"its text is in (\S+)\)", str(raised.value))
    assert kept is not None
    assert Path(kept[1]).read_bytes() == NEW
    assert files[1].read_bytes() == NEW


def test_an_edit_at_this_very_moment_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    for file in (first, second):
        file.write_bytes(NEW)
    replace = Path.replace

    def editing(self: Path, target: Path) -> Path:
        if target == first:
            second.write_bytes(b"# what the operator just typed")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", editing)
    with pytest.raises(StorageFailed, match=r"b\.toml: .*it was edited at this very moment\); every file is as it was"):
        restore([text(first), text(second)])
    assert first.read_bytes() == NEW
    assert second.read_bytes() == b"# what the operator just typed"
    assert sorted(os.listdir(tmp_path)) == ["a.toml", "b.toml"]


def test_a_full_disk_is_noticed_before_anything_is_replaced(tmp_path: Path, small_disk: Path) -> None:
    near, far = tmp_path / "near.toml", small_disk / "far.toml"
    near.write_bytes(NEW)
    far.write_bytes(NEW)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"x" * 2_000_000)
    inode = near.stat().st_ino
    with pytest.raises(StorageFailed, match=r"far\.toml: cannot be put back .*No space left on device"):
        restore([text(near), text(far, OLD * 10_000)])
    assert (near.read_bytes(), near.stat().st_ino, far.read_bytes()) == (NEW, inode, NEW)
    assert sorted(os.listdir(small_disk)) == ["ballast", "far.toml"]
    ballast.unlink()
    restore([text(near), text(far)])
    assert (near.read_bytes(), far.read_bytes()) == (OLD, OLD)


# -- what cannot be done is said before anything is touched ---------------------------------------------


def refused(files: list[ProfileText], says: str) -> None:
    """Check that `writable` and `restore` say the same."""
    why = writable(files)
    assert re.search(says, why), why
    with pytest.raises(StorageFailed, match=re.escape(why)):
        restore(files)


def test_a_read_only_file_system_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    near = tmp_path / "near.toml"
    near.write_bytes(NEW)
    with mounted(tmp_path / "disk", "1m") as disk:
        far = disk / "far.toml"
        far.write_bytes(NEW)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused([text(near), text(far)], r"far\.toml: .*/disk is on a read-only file system")
        refused([text(disk / "new" / "far.toml")], "read-only file system")
        assert near.read_bytes() == NEW
        assert writable([text(near), text(far, NEW)]) == "", "what holds its bytes need not be written"
        assert restore([text(near), text(far, NEW)]) == (str(near),)


def test_a_file_of_a_config_map_is_left_to_the_cluster(tmp_path: Path) -> None:
    data = tmp_path / "..2026_11_22_10_11_12.123456789"
    data.mkdir()
    (data / "bot.toml").write_bytes(NEW)
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "bot.toml").symlink_to("..data/bot.toml")
    before = shape(tmp_path)
    refused([text(tmp_path / "bot.toml")], r"bot\.toml: comes from a mounted ConfigMap or Secret; change it there")
    assert shape(tmp_path) == before


def test_a_file_that_is_mounted_by_itself_is_left_to_who_mounted_it(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside.toml", tmp_path / "a bot.toml"
    for file in (outside, inside):
        file.write_bytes(NEW)
    done = subprocess.run(["mount", "--bind", str(outside), str(inside)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file cannot be mounted here: {done.stderr.strip()}")
    try:
        refused([text(inside)], r"a bot\.toml: is mounted by itself")
    finally:
        subprocess.run(["umount", str(inside)], check=True)
    assert outside.read_bytes() == NEW


def test_what_is_no_file_or_lies_behind_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "file").write_bytes(NEW)
    before = shape(tmp_path)
    refused([text(tmp_path / "folder.toml")], r"folder\.toml: is no file")
    refused([text(tmp_path / "pipe.toml")], r"pipe\.toml: is no file")
    refused([text(tmp_path / "loop.toml")], r"loop\.toml: cannot be read \(Too many levels of symbolic links\)")
    refused([text(tmp_path / "file" / "bot.toml")], r"cannot be read \(Not a directory\)")
    assert shape(tmp_path) == before


def test_a_folder_that_may_not_be_written_is_named() -> None:
    with as_nobody() as folder:
        path = folder / "bot.toml"
        path.write_bytes(NEW)
        folder.chmod(0o555)
        refused([text(path)], rf"bot\.toml: the folder {folder} may not be written")
        refused([text(folder / "a" / "b" / "bot.toml")], "may not be written")
        folder.chmod(0o755)
        assert writable([text(path)]) == ""


def test_a_file_of_somebody_else_stays_as_it_is() -> None:
    with as_nobody() as folder:
        path = folder / "bot.toml"
        path.write_bytes(NEW)
        os.seteuid(0)
        os.chown(path, 0, 0)
        path.chmod(0o644)
        os.seteuid(NOBODY)
        refused([text(path)], r"bot\.toml: belongs to root and may not be written")
        os.seteuid(0)
        path.chmod(0o666)
        os.chown(folder, 1234, 1234)
        folder.chmod(0o1777)
        os.seteuid(NOBODY)
        refused([text(path)], r"belongs to root, and .* lets only owners replace their files")
        os.seteuid(0)
        folder.chmod(0o777)
        os.chown(path, 1234, 1234)
        os.seteuid(NOBODY)
        assert restore([text(path)]) == (str(path),)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (OLD, 0o666)
