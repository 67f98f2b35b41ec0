"""Is nothing missed while a watch begins, and no more read than a profile may have? Asked of the real watcher."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import tracemalloc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import watchfiles
from watchfiles.main import FileChange

from tests.runtime.watching import watched
from tests.runtime.ways_to_edit import text
from tradebot.config.reading import LARGEST_BYTES
from tradebot.runtime.watcher import fingerprint, fingerprint_of


def before_watching(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Do `change` each time when the folders are known and not watched yet."""

    def late(*folders: Path | str, **about: Any) -> Generator[set[FileChange]]:
        change()
        return watchfiles.watch(*folders, **about)

    monkeypatch.setattr("tradebot.runtime.watcher.watch", late)


def test_a_folder_that_comes_while_its_watch_begins_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "conf"
    file = folder / "prod.toml"
    before_watching(monkeypatch, lambda: folder.mkdir(parents=True, exist_ok=True))

    async def main() -> None:
        async with watched(file) as seen:
            await seen.noticed(lambda: file.write_text(text(1)))
            await seen.noticed(lambda: file.write_text(text(2)))

    asyncio.run(main())


def test_folders_that_go_one_by_one_while_their_watch_begins_are_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep" / "er" / "conf"
    file = folder / "prod.toml"
    folder.mkdir(parents=True)
    file.write_text(text(0))
    going = iter((folder, folder.parent, folder.parent.parent))
    before_watching(monkeypatch, lambda: shutil.rmtree(next(going, tmp_path / "gone"), ignore_errors=True))

    def make() -> None:
        folder.mkdir(parents=True)
        file.write_text(text(1))

    async def main() -> None:
        async with watched(file) as seen:
            await seen.until(lambda: seen.hints == 1)
            await seen.noticed(make)
            assert seen.log.records == []

    asyncio.run(main())


def test_a_file_too_large_for_a_profile_is_told_apart_unread(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    with file.open("wb") as opened:
        opened.truncate(1_500_000_000)
    path = str(file)
    tracemalloc.start()
    begun = time.monotonic()
    try:
        marks = [fingerprint([path]), fingerprint_of([(path, b"")])]
        assert fingerprint([path]) == marks[0]
        os.truncate(file, 1_500_000_001)
        os.utime(file, ns=(1, 1))
        marks.append(fingerprint([path]))
        os.utime(file, ns=(2, 2))
        marks.append(fingerprint([path]))
        os.truncate(file, LARGEST_BYTES)
        marks.append(fingerprint([path]))
        assert marks[-1] == fingerprint_of([(path, bytes(LARGEST_BYTES))])
        assert tracemalloc.get_traced_memory()[1] < 8 * LARGEST_BYTES
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < 2
    assert len(set(marks)) == len(marks)
