"""Is it known what a folder stands on, and does a measurement of it leave nothing behind?"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.disks import mounted
from tradebot.runtime.doctor_disk import file_system, measure_commits, nearest, obstacle

MOUNTS = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw
30 27 0:27 / /srv rw - overlay overlay rw
31 30 0:28 / /srv/bot\040state rw shared:5 - nfs4 host:/export rw
32 30 0:29 / /srv/bot\040state rw - tmpfs tmpfs rw
not a line of a mount
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home", "ext4"),
        ("/srv", "overlay"),
        ("/srv/bot", "overlay"),
        ("/srv/bot state/x", "tmpfs"),
        ("/dev/x", "devtmpfs"),
    ],
)
def test_a_folder_stands_on_the_deepest_and_last_file_system_that_holds_it(
    tmp_path: Path, folder: str, kind: str
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(Path(folder), mounts) == kind


def test_where_mounts_are_not_told_the_kind_is_not_known(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "nowhere") == ""


def test_a_file_system_in_memory_is_known_as_such(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        assert file_system(disk) == "tmpfs"
        assert measure_commits(disk).count > 0


def test_a_measurement_leaves_nothing_and_its_figures_are_ordered(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    took = measure_commits(tmp_path)
    assert 0 < took.p50_ms <= took.p99_ms
    assert took.count > 0
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


@pytest.mark.parametrize("error", [IsADirectoryError(errno.EISDIR, "no"), OSError(errno.EOPNOTSUPP, "no")])
def test_a_disk_without_nameless_files_is_measured_with_one_whose_name_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    real = os.open

    def refusing(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise error
        return real(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", refusing)
    assert measure_commits(tmp_path).count > 0
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_folder_is_where_one_would_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearest(tmp_path / "state" / "bot") == tmp_path
    monkeypatch.chdir(tmp_path)
    assert nearest(Path("state/bot")) == tmp_path
    (tmp_path / "state").mkdir()
    assert nearest(Path("state/bot")) == tmp_path / "state"


def test_a_folder_that_cannot_be_made_or_written_in_is_told_with_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert obstacle(tmp_path / "afile" / "bot") == f"{tmp_path}/afile is no folder"
    assert obstacle(tmp_path / "lost" / "bot") == f"{tmp_path}/lost is no folder"
    assert obstacle(Path("/proc/x")).startswith("nothing can be written in /proc: ")
    before = tmp_path.stat().st_mtime_ns
    assert obstacle(tmp_path / "state" / "bot") == ""
    assert obstacle(tmp_path) == ""
    assert tmp_path.stat().st_mtime_ns == before
