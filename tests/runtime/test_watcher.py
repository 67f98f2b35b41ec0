"""Every way in which a file on a disk becomes another is noticed, by the real system, and nothing else is."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.watching import PATIENCE_S, Watched, watched
from tests.runtime.ways_to_edit import WAYS, Edit, in_place, replaced, text
from tradebot.config.sections.reload import Reload
from tradebot.runtime.watcher import NoWatcher, Watcher, fingerprint, fingerprint_of, places

ROOT = Path(__file__).resolve().parents[2]

PR_SET_NAME = 15


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_edit_is_noticed_again_and_again(tmp_path: Path, way: Callable[[Path], tuple[Path, Edit]]) -> None:
    file, edit = way(tmp_path)

    async def main() -> None:
        async with watched(file) as seen:
            for number in range(1, 5):
                await seen.noticed(lambda: edit(number))  # noqa: B023 - done before the next number
                assert file.read_text() == text(number)
            assert seen.log.records == []

    asyncio.run(main())


# -- what comes and goes -------------------------------------------------------------------------------


def test_a_folder_that_was_away_is_watched_as_soon_as_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "conf"
    file = folder / "prod.toml"

    def make() -> None:
        folder.mkdir(parents=True)
        file.write_text(text(1))

    async def main() -> None:
        async with watched(file) as seen:  # nothing of it is there at the start
            for _ in range(3):
                await seen.noticed(make)
                await seen.noticed(lambda: file.write_text(text(2)))
                await seen.noticed(lambda: shutil.rmtree(tmp_path / "deep"))
            assert seen.log.records == []

    asyncio.run(main())


def test_a_link_that_leads_nowhere_is_noticed_when_its_target_comes(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    file = tmp_path / "here" / "prod.toml"
    file.symlink_to(tmp_path / "there" / "prod.toml")

    def make() -> None:
        (tmp_path / "there").mkdir()
        (tmp_path / "there" / "prod.toml").write_text(text(1))

    async def main() -> None:
        async with watched(file) as seen:
            await seen.noticed(make)

    asyncio.run(main())


def test_links_in_a_circle_are_a_file_that_is_not_there(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.symlink_to(two)
    two.symlink_to(one)

    def mend() -> None:
        two.unlink()
        two.write_text(text(1))

    async def main() -> None:
        async with watched(one) as seen:
            await seen.noticed(mend)

    asyncio.run(main())


def test_a_file_that_vanishes_and_comes_back_is_two_changes(tmp_path: Path) -> None:
    file, _ = in_place(tmp_path)

    async def main() -> None:
        async with watched(file) as seen:
            await seen.noticed(file.unlink)
            await seen.noticed(lambda: file.write_text(text(0)))
            assert seen.hints == 2

    asyncio.run(main())


def test_a_pipe_in_the_place_of_a_file_is_never_waited_for(tmp_path: Path) -> None:
    file, _ = in_place(tmp_path)

    def pipe() -> None:
        file.unlink()
        os.mkfifo(file)

    async def main() -> None:
        async with watched(file) as seen:
            await seen.noticed(pipe)
            await seen.noticed(file.unlink)

    asyncio.run(main())


def test_of_a_burst_the_last_content_is_always_told(tmp_path: Path) -> None:
    file, edit = in_place(tmp_path)

    def burst() -> None:
        for number in range(200):
            edit(number % 97)
        edit(98)

    async def main() -> None:
        async with watched(file) as seen:
            await seen.noticed(burst)
            assert file.read_text() == text(98)
            assert seen.hints < 200

    asyncio.run(main())


# -- what is no change ---------------------------------------------------------------------------------


def test_a_touch_another_mode_the_same_bytes_and_other_files_give_no_hint(tmp_path: Path) -> None:
    file, edit = replaced(tmp_path)
    others: list[Callable[[], object]] = [
        lambda: os.utime(file),
        lambda: file.chmod(0o600),
        lambda: edit(0),
        lambda: (tmp_path / "other.toml").write_text("x = 1\n"),
    ]

    async def main() -> None:
        async with watched(file) as seen:
            for other in others:
                before = seen.watcher.looks
                await asyncio.to_thread(other)
                await seen.until(lambda: seen.watcher.looks > before)  # noqa: B023 - done before the next
            await seen.noticed(lambda: edit(1))
            assert seen.hints == 1

    asyncio.run(main())


def test_what_was_read_already_gives_no_hint(tmp_path: Path) -> None:
    file, edit = replaced(tmp_path)
    path = str(file)

    async def main() -> None:
        async with watched(file) as seen:
            before = seen.watcher.looks
            seen.watcher.follow([path], fingerprint_of([(path, text(1).encode())]))
            edit(1)
            await seen.until(lambda: seen.watcher.looks > before)
            assert seen.hints == 0
            await seen.noticed(lambda: edit(2))
            assert seen.hints == 1

    asyncio.run(main())


# -- which files -----------------------------------------------------------------------------------------


def test_a_file_that_an_edit_extends_is_followed_from_then_on(tmp_path: Path) -> None:
    file, edit = replaced(tmp_path)
    (tmp_path / "bases").mkdir()
    base, edit_base = replaced(tmp_path / "bases")

    async def main() -> None:
        async with watched(file) as seen:
            seen.follow([base, file])
            await seen.noticed(lambda: edit_base(1))
            await seen.noticed(lambda: edit(1))
            seen.follow([file])
            looks = seen.watcher.looks
            await seen.until(lambda: seen.watcher.looks > looks)  # the folders are watched anew
            edit_base(2)
            await seen.noticed(lambda: edit(2))
            assert seen.hints == 3
            assert places(seen.files) == (str(tmp_path),)

    asyncio.run(main())


def test_files_that_are_followed_unread_are_told_once(tmp_path: Path) -> None:
    file, _ = in_place(tmp_path)

    async def main() -> None:
        async with watched(file) as seen:
            seen.watcher.follow([str(file)])
            await seen.until(lambda: seen.hints == 1)

    asyncio.run(main())


def test_what_changed_between_reading_and_starting_is_told(tmp_path: Path) -> None:
    file, edit = in_place(tmp_path)

    async def main() -> None:
        seen = Watched([file], sweep_s=3600)
        seen.watcher.follow([str(file)], fingerprint_of([(str(file), text(0).encode())]))
        edit(1)
        await seen.watcher.start()
        await seen.until(lambda: seen.hints == 1)
        await seen.watcher.stop()
        await seen.watcher.stop()

    asyncio.run(main())


def test_a_watcher_that_was_told_of_no_reading_gives_one_hint_at_its_start(tmp_path: Path) -> None:
    file, edit = replaced(tmp_path)

    async def main() -> None:
        async with watched(file) as seen:
            fresh = Watcher([str(file)], seen.watcher._hint, Reload(sweep_s=3600), seen.log, seen.watcher._failed)
            await fresh.start()
            await seen.until(lambda: seen.hints == 1)
            await fresh.stop()
            await seen.noticed(lambda: edit(1))
            assert seen.hints == 2

    asyncio.run(main())


def test_a_fingerprint_tells_contents_names_and_reasons_apart(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    marks = [fingerprint([one])]
    Path(one).write_bytes(b"")
    marks.append(fingerprint([one]))
    Path(one).unlink()
    Path(one).mkdir()
    marks += [fingerprint([one]), fingerprint([two]), fingerprint([one, two])]
    marks += [fingerprint_of([(one, b"ab"), (two, b"")]), fingerprint_of([(one, b"a"), (two, b"b")])]
    assert len(set(marks)) == len(marks)
    Path(two).write_bytes(b"ab")
    assert fingerprint([two]) == fingerprint_of([(two, b"ab")])
    assert fingerprint_of([(one, b"a"), (two, b"b")]) == fingerprint_of([(two, b"b"), (one, b"a")])


# -- the safety net ----------------------------------------------------------------------------------------


def test_the_sweep_finds_what_the_system_does_not_tell(tmp_path: Path) -> None:
    file, _ = in_place(tmp_path)

    def through_memory(word: bytes) -> None:
        with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
            memory[: len(word)] = word

    async def main() -> None:
        async with watched(file, sweep_s=0.1) as seen:
            await seen.noticed(lambda: through_memory(b"[exi"))
            await seen.noticed(lambda: through_memory(b"[buy"))

    asyncio.run(main())


def test_a_file_of_a_system_without_events_is_swept() -> None:
    """The name of a thread is a file under /proc that no event is told of."""
    thread = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    if not thread.exists():
        pytest.skip("there is no /proc here")
    system = ctypes.CDLL(None, use_errno=True)
    was = thread.read_bytes().strip()

    async def main() -> None:
        async with watched(thread, sweep_s=0.1) as seen:
            for name in (b"one", b"another"):
                before = seen.hints
                system.prctl(PR_SET_NAME, name, 0, 0, 0)
                await seen.until(lambda: seen.hints > before)  # noqa: B023 - done before the next

    try:
        asyncio.run(main())
    finally:
        system.prctl(PR_SET_NAME, was, 0, 0, 0)


def test_another_sweep_interval_ends_the_wait_under_way(tmp_path: Path) -> None:
    file, _ = in_place(tmp_path)

    def through_memory() -> None:
        with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
            memory[:4] = b"[exi"

    async def main() -> None:
        async with watched(file) as seen:
            seen.watcher.retune(Reload(sweep_s=0.1))
            await seen.noticed(through_memory)

    asyncio.run(main())


LIMITED = """
import asyncio, sys
from pathlib import Path
from tests.runtime.watching import Watched

LIMIT = Path("/proc/sys/user/max_inotify_instances")

async def main(file):
    LIMIT.write_text("0")
    seen = Watched([file], sweep_s=0.1)
    await seen.watcher.start()
    await seen.until(lambda: "WATCHER_DEGRADED" in seen.log.kinds())
    for word in ("one", "two"):
        await seen.noticed(lambda: file.write_text(word))
    LIMIT.write_text("100")
    await seen.until(lambda: "WATCHER_RESTORED" in seen.log.kinds())
    await seen.noticed(lambda: file.write_text("three"))
    await seen.watcher.stop()
    assert seen.failures == []
    print(seen.log.records)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_where_the_system_refuses_to_watch_that_is_told_once_and_sweeping_goes_on(tmp_path: Path) -> None:
    alone = ["unshare", "--user", "--map-root-user"]
    if shutil.which(alone[0]) is None or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespace of one's own to set a limit in")
    file, _ = in_place(tmp_path)
    child = [*alone, sys.executable, "-c", LIMITED, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        child, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("WATCHER_DEGRADED") == done.stdout.count("WATCHER_RESTORED") == 1
    assert "every 0.1 s only" in done.stdout
    assert "Too many open files" in done.stdout


def test_when_not_even_reading_works_it_has_failed(tmp_path: Path) -> None:
    file, edit = in_place(tmp_path)

    async def main() -> None:
        async with watched(file, sweep_s=0.1) as seen:
            seen.watcher.follow([f"{file}\0"])  # a name that no system takes
            await seen.until(lambda: bool(seen.failures))
            name, error = seen.failures[0]
            assert name == "watcher"
            assert isinstance(error, ValueError)
            seen.follow([file])
            await seen.noticed(lambda: edit(1))

    asyncio.run(main())


def test_a_watcher_that_is_off_does_nothing() -> None:
    async def main() -> None:
        off = NoWatcher()
        await off.start()
        off.follow(["x"], "")
        off.retune(Reload())
        await off.stop()
        assert off.name == "watcher"

    before = set(threading.enumerate())
    asyncio.run(main())
    assert set(threading.enumerate()) <= before
