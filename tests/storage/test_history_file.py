"""Is a profile history opened, read beside a bot, or refused with its reason, wherever it lies?"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.storage.generations import BUSY_S, apply, digest, generation, open_history, read_history, verdict
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import Generation
from tradebot.storage import history_rows as rows
from tradebot.storage.history import History, HistoryDamaged
from tradebot.storage.home import Home


def filled(path: Path, generations: int = 3) -> Path:
    history = open_history(path)
    for number in range(1, generations + 1):
        apply(history, number)
    history.close()
    return path


def in_force(history: History) -> int:
    current = history.in_force()
    return 0 if current is None else current.number


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def copied(path: Path, folder: Path, *tails: str) -> Path:
    """Copy a history that is open, with those of its files, as a kill at this moment would leave them."""
    folder.mkdir(exist_ok=True)
    for tail in ("", *tails):
        shutil.copy(path.with_name(path.name + tail), folder / (path.name + tail))
    return folder / path.name


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be written until its test remounts it."""
    with mounted(tmp_path / "disk", "4m") as disk:
        yield disk


def remount_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def test_the_home_names_the_history(tmp_path: Path) -> None:
    home = Home.open(tmp_path, "bot")
    history = open_history(home.profiles)
    assert history.path == tmp_path / "bot" / "profiles.sqlite"
    history.close()
    home.close()


def test_a_history_that_others_may_read_is_made_private_again(tmp_path: Path) -> None:
    path = filled(tmp_path / "profiles.sqlite")
    path.chmod(0o644)
    history = open_history(path)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    history.close()
    assert set(modes.values()) == {0o600}


def test_a_history_is_found_through_a_link_and_under_an_odd_name(tmp_path: Path) -> None:
    (tmp_path / "a b?c#%").mkdir()
    path = filled(tmp_path / "a b?c#%" / "profiles.sqlite")
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    history = open_history(link)
    apply(history, 4)
    reader = read_history(link)
    assert in_force(reader) == 4
    reader.close()
    history.close()


def test_a_lock_that_is_not_given_in_time_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    history = open_history(tmp_path / "profiles.sqlite")
    other = sqlite3.connect(history.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match=r"profiles\.sqlite: the profile history cannot be written .*locked"):
        history.begin(generation(1))
    other.execute("ROLLBACK")
    other.close()
    assert history.generations(9) == ()
    history.begin(generation(1))
    history.close()


# -- reading beside a bot --------------------------------------------------------------------------------


def test_where_there_is_no_history_there_is_none_to_read_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    assert History.read_only(path) is None
    assert History.read_only(tmp_path / "gone" / "profiles.sqlite") is None
    path.touch()
    assert History.read_only(path) is None, "a bot that was killed while it made the file"
    assert contents(tmp_path) == {"profiles.sqlite": b""}


def test_a_reader_sees_what_the_bot_commits_while_it_reads(tmp_path: Path) -> None:
    history = open_history(tmp_path / "profiles.sqlite")
    apply(history, 1)
    reader = read_history(history.path)
    assert in_force(reader) == 1
    apply(history, 2)
    assert in_force(reader) == 2
    history.close()
    assert in_force(reader) == 2
    reader.close()


def test_a_text_that_is_pruned_while_it_is_read_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = open_history(filled(tmp_path / "profiles.sqlite"))
    reader = read_history(history.path)
    generation_of = rows.generation_of

    def pruned_meanwhile(database: sqlite3.Connection, row: Sequence[object]) -> Generation:
        monkeypatch.undo()
        history.prune(0)
        return generation_of(database, row)

    monkeypatch.setattr(rows, "generation_of", pruned_meanwhile)
    assert [one.files for one in reader.generations(9)] == [generation(number).files for number in (3, 2, 1)]
    assert [bool(one.files) for one in reader.generations(9)] == [True, True, False]
    reader.close()
    history.close()


def test_reading_with_no_bot_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    path = filled(tmp_path / "home.sqlite")
    before = contents(tmp_path)
    reader = read_history(path)
    assert in_force(reader) == 3
    assert contents(tmp_path) == before
    reader.close()
    assert contents(tmp_path) == before


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    history = open_history(filled(tmp_path / "profiles.sqlite"))
    beside = read_history(history.path)
    history.close()
    for reader in (beside, read_history(copied(history.path, tmp_path / "copy"))):
        with pytest.raises(StorageFailed, match="readonly database"):
            reader.begin(generation(4))
        with pytest.raises(StorageFailed, match="readonly database"):
            reader.next_number()
        assert in_force(reader) == 3
        reader.close()


def test_what_a_killed_bot_left_in_its_log_is_read(tmp_path: Path) -> None:
    history = open_history(tmp_path / "profiles.sqlite")
    apply(history, 1)
    with_both = copied(history.path, tmp_path / "both", "-wal", "-shm")
    log_only = copied(history.path, tmp_path / "log", "-wal")
    history.close()
    for path in (with_both, log_only):
        before = contents(path.parent)
        reader = read_history(path)
        assert in_force(reader) == 1
        reader.close()
        after = contents(path.parent)
        assert before.keys() == after.keys()
        assert all(before[name] == after[name] for name in before if not name.endswith("-shm"))


@pytest.mark.parametrize("tails", [(), ("-wal",), ("-wal", "-shm")], ids=["clean", "log", "log and index"])
def test_a_history_on_a_read_only_disk_is_read(tmp_path: Path, read_only_disk: Path, tails: tuple[str, ...]) -> None:
    history = open_history(tmp_path / "profiles.sqlite")
    apply(history, 1)
    if not tails:
        history.close()
    path = copied(history.path, read_only_disk, *tails)
    remount_read_only(read_only_disk)
    with pytest.raises(StorageFailed, match=r"Read-only file system|readonly database"):
        open_history(path)
    reader = read_history(path)
    assert in_force(reader) == 1
    assert reader.generations(9)[0].files == generation(1).files
    reader.close()
    history.close()


# -- what cannot be used ---------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_that_leaves_the_old_in_force_and_passes(small_disk: Path) -> None:
    history = open_history(small_disk / "profiles.sqlite")
    apply(history, 1)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"x" * 2_000_000)
    failures = []
    for number in range(2, 40):  # the log's own file has room for a few
        try:
            history.begin(generation(number))
        except StorageFailed as error:
            failures.append(str(error))
            break
    assert len(failures) == 1
    assert "profiles.sqlite: the profile history cannot be written" in failures[0]
    assert in_force(history) == 1
    begun = history.unfinished()
    assert history.generations(99)[:-1] == tuple(reversed(begun))
    ballast.unlink()
    apply(history, 50)
    assert in_force(history) == 50
    history.close()
    reopened = open_history(history.path)
    assert in_force(reopened) == 50
    assert reopened.unfinished() == begun
    reopened.close()


def test_a_file_that_is_no_database_is_damage_left_alone_and_can_be_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    path.write_bytes(b"this is no database, it is a shopping list\n" * 50)
    before = contents(tmp_path)
    with pytest.raises(HistoryDamaged, match=r"profiles\.sqlite: the profile history is damaged"):
        open_history(path)
    with pytest.raises(HistoryDamaged, match="is damaged"):
        History.read_only(path)
    assert contents(tmp_path) == before
    aside = History.reset(path, 1_795_364_703_123)
    assert aside == tmp_path / "profiles.sqlite.20261122T162503Z"
    assert aside.read_bytes() == before["profiles.sqlite"]
    open_history(path).close()


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (name TEXT)")
    database.commit()
    database.close()
    before = contents(tmp_path)
    with pytest.raises(HistoryDamaged, match=r"profiles\.sqlite: not a profile history of tradebot"):
        open_history(path)
    with pytest.raises(HistoryDamaged, match="not a profile history"):
        History.read_only(path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_a_page_that_was_overwritten_is_found_at_the_opening(tmp_path: Path, where: float) -> None:
    path = tmp_path / "profiles.sqlite"
    history = open_history(path)
    for number in range(1, 30):
        apply(history, number)
        history.judge(verdict(-number, "refused"))
    history.close()
    data = bytearray(path.read_bytes())
    start = int(len(data) * where) // 4096 * 4096
    data[start : start + 8192] = b"\xa5" * 8192
    path.write_bytes(bytes(data))
    with pytest.raises(HistoryDamaged, match=r"profiles\.sqlite: the profile history is damaged"):
        open_history(path)
    with pytest.raises(HistoryDamaged, match=r"profiles\.sqlite: the profile history is damaged"):
        History.read_only(path)


@pytest.mark.parametrize(
    ("version", "kind", "says"),
    [
        ("2", StorageFailed, r"written by a newer version of tradebot \(schema 2, this version reads schema 1\)"),
        ("many", HistoryDamaged, r"is damaged \(schema many\)"),
    ],
)
def test_another_schema_is_refused(tmp_path: Path, version: str, kind: type[StorageFailed], says: str) -> None:
    path = filled(tmp_path / "profiles.sqlite")
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = ?", (version,))
    database.commit()
    database.close()
    for opening in (open_history, History.read_only):
        with pytest.raises(StorageFailed, match=rf"profiles\.sqlite: .*{says}") as raised:
            opening(path)
        assert raised.type is kind


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"profiles\.sqlite: the profile history cannot be opened \(No such file"):
        open_history(tmp_path / "gone" / "profiles.sqlite")


def test_a_history_of_many_edits_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    history = open_history(path)
    sizes = []
    for number in range(1, 401):
        history.judge(verdict(-number, "rejected"))
        apply(history, number, good=True)
        if number % 20 == 0:
            history.prune(10)
            sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert history.verdict(digest(-1)) is None
    history.close()
    assert sizes[-1] - sizes[4] < 300 * 2000, "beyond the texts that are kept, an edit leaves its lines"
    assert path.stat().st_size < 2_000_000


# -- a file that is removed while it is open --------------------------------------------------------------


def removed(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


@pytest.mark.parametrize("tails", [("",), ("", "-wal", "-shm")], ids=["alone", "with-its-log"])
def test_a_history_that_is_removed_while_it_is_open_is_written_anew_whole(tmp_path: Path, tails: Sequence[str]) -> None:
    path, told = tmp_path / "profiles.sqlite", list[str]()
    history = History.open(path, BUSY_S, told.append)
    apply(history, 1, good=True)
    history.judge(verdict(9, "pending"))
    for tail in tails:
        path.with_name(path.name + tail).unlink()
    history.look()
    (story,) = told
    assert f"{path}: the profile history was removed while the bot runs; it is written anew, whole" in story
    assert path.stat().st_mode & 0o777 == 0o600
    apply(history, 2)
    history.look()
    assert len(told) == 1
    beside = read_history(path)
    assert (in_force(beside), beside.verdict(digest(9))) == (2, verdict(9, "pending"))
    beside.close()
    history.close()
    again = open_history(path)
    assert [one.number for one in again.generations(9)] == [2, 1]
    assert [file.source for file in again.generations(9)[1].files] == [file.source for file in generation(1).files]
    again.close()


def test_a_change_of_a_history_that_was_removed_is_not_lost(tmp_path: Path) -> None:
    path, told = tmp_path / "profiles.sqlite", list[str]()
    history = History.open(path, BUSY_S, told.append)
    apply(history, 1)
    removed(path)
    apply(history, 2)
    history.close()
    assert len(told) == 1
    again = open_history(path)
    assert in_force(again) == 2
    again.close()


def test_a_file_that_was_put_in_the_place_of_a_history_is_left_alone_and_told_once(tmp_path: Path) -> None:
    path, told = tmp_path / "profiles.sqlite", list[str]()
    history = History.open(path, BUSY_S, told.append)
    apply(history, 1)
    removed(path)
    path.write_bytes(b"put back by somebody")
    history.look()
    history.look()
    assert told == [f"{path}: another file was put in the place of the profile history"]
    with pytest.raises(StorageFailed, match="another file was put in the place of the profile history"):
        apply(history, 2)
    assert path.read_bytes() == b"put back by somebody"
    assert in_force(history) == 1
    history.close()


def test_a_history_whose_folder_was_removed_says_so_once_and_holds_what_it_knows(tmp_path: Path) -> None:
    home, told = tmp_path / "home", list[str]()
    home.mkdir()
    history = History.open(home / "profiles.sqlite", BUSY_S, told.append)
    apply(history, 1)
    shutil.rmtree(home)
    history.look()
    history.look()
    (story,) = told
    assert "cannot be written (No such file or directory)" in story
    with pytest.raises(StorageFailed, match="cannot be written"):
        apply(history, 2)
    home.mkdir()
    apply(history, 3)
    assert in_force(history) == 3
    history.close()
