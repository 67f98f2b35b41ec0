"""Does each run leave one folder, found by `latest_session`, and do only old, unused ones go?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradebot.domain.errors import CannotStart, StorageFailed
from tradebot.storage.retention import prune_sessions
from tradebot.storage.session import Session, SessionRecord, read_session

NOW = 1_795_364_703_123


def create(sessions: Path, profile: str = "demo", now_ms: int = NOW, *, link_latest: bool = True) -> Session:
    return Session.create(
        sessions, profile, now_ms, kind="run", instance="bot", synthetic=True, money="play money",
        link_latest=link_latest,
    )  # fmt: skip


def finished(sessions: Path, count: int, *, size: int = 0) -> list[str]:
    names = []
    for number in range(count):
        session = create(sessions, now_ms=NOW + 60_000 * number)
        (session.logs / "events.jsonl").write_bytes(b"x" * size)
        session.close(ended_ms=NOW, exit_code=0)
        names.append(session.folder.name)
    return names


def test_a_session_has_its_folders_its_name_card_and_the_link(tmp_path: Path) -> None:
    session = create(tmp_path / "sessions")
    assert session.folder.name == "20261122T162503Z-demo"
    assert {path.name for path in session.folder.iterdir() if path.is_dir()} == {"logs", "state", "metrics", "profiles"}
    link = tmp_path / "latest_session"
    assert os.readlink(link) == "sessions/20261122T162503Z-demo"
    assert (link / "session.json").is_file()
    card = json.loads((link / "session.json").read_bytes())
    assert (card["kind"], card["profile"], card["synthetic"], card["pid"]) == ("run", "demo", True, os.getpid())
    assert card["ended_ms"] is None
    session.close()


def test_the_name_card_follows_the_run_to_its_end(tmp_path: Path) -> None:
    session = create(tmp_path / "sessions")
    session.update(run="k3x", journal="/somewhere/journal.sqlite")
    session.close(ended_ms=NOW + 5, exit_code=3, shutdown={"signal": "SIGTERM", "orders_left": 0})
    session.close(exit_code=9)
    assert read_session(session.folder) == SessionRecord(
        kind="run",
        profile="demo",
        instance="bot",
        pid=os.getpid(),
        started_ms=NOW,
        run="k3x",
        journal="/somewhere/journal.sqlite",
        synthetic=True,
        money="play money",
        ended_ms=NOW + 5,
        exit_code=3,
        shutdown={"signal": "SIGTERM", "orders_left": 0},
    )


def test_two_sessions_of_one_second_have_their_own_folders_and_the_link_follows_the_newest(tmp_path: Path) -> None:
    first = create(tmp_path / "sessions")
    first.close()
    second = create(tmp_path / "sessions")
    assert second.folder.name == "20261122T162503Z-demo-2"
    assert (tmp_path / "latest_session").resolve() == second.folder.resolve()
    second.close()
    third = create(tmp_path / "sessions", link_latest=False)
    assert (tmp_path / "latest_session").resolve() == second.folder.resolve()
    third.close()


def test_the_link_stays_a_living_run_s_until_the_next_one_takes_it(tmp_path: Path) -> None:
    link = tmp_path / "latest_session"
    running, refused = create(tmp_path / "sessions"), create(tmp_path / "sessions")
    assert link.resolve() == running.folder.resolve()
    refused.close(exit_code=1)
    beside = create(tmp_path / "sessions")
    beside.take_latest()
    assert link.resolve() == beside.folder.resolve()
    running.close()
    beside.close()
    link.unlink()
    link.mkdir()
    with pytest.raises(CannotStart, match="latest_session: is not a link"):
        beside.take_latest()
    assert link.is_dir()


def test_a_profile_name_never_leaves_the_folder_of_sessions(tmp_path: Path) -> None:
    session = create(tmp_path / "sessions", "../../etc/évil name")
    assert session.folder.parent == tmp_path / "sessions"
    session.close()


def test_a_profile_name_that_is_not_utf_8_is_written_by_its_codes(tmp_path: Path) -> None:
    session = create(tmp_path / "sessions", os.fsdecode(b"caf\xe9"))
    assert session.folder.name == "20261122T162503Z-caf-"
    assert read_session(session.folder).profile == r"caf\udce9"
    session.close()


def test_profiles_are_kept_byte_for_byte_also_when_names_meet(tmp_path: Path) -> None:
    session = create(tmp_path / "sessions")
    (tmp_path / "other").mkdir()
    files = [tmp_path / "base.toml", tmp_path / "other" / "base.toml"]
    for number, file in enumerate(files):
        file.write_bytes(b"# \xc3\xa4\r\n" + bytes([65 + number]))
    session.keep_profiles(files)
    kept = session.folder / "profiles"
    assert (kept / "base.toml").read_bytes() == files[0].read_bytes()
    assert (kept / "base-2.toml").read_bytes() == files[1].read_bytes()
    with pytest.raises(StorageFailed, match=r"gone\.toml"):
        session.keep_profiles([tmp_path / "gone.toml"])
    session.close()


def test_a_folder_in_the_place_of_the_link_is_left_alone_and_named(tmp_path: Path) -> None:
    (tmp_path / "latest_session").mkdir()
    with pytest.raises(CannotStart, match="latest_session: is not a link"):
        create(tmp_path / "sessions")
    assert (tmp_path / "latest_session").is_dir()


def test_a_place_that_cannot_hold_sessions_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("a file")
    with pytest.raises(CannotStart, match="session folder cannot be made"):
        create(tmp_path / "sessions")


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (None, "cannot be read"),
        (b"{", "not a session's record"),
        (b'{"schema":1}', "not a session's record"),
        (b'{"schema":2}', "newer version"),
    ],
)
def test_a_session_without_a_readable_card_is_named(tmp_path: Path, card: bytes | None, why: str) -> None:
    if card is not None:
        (tmp_path / "session.json").write_bytes(card)
    with pytest.raises(StorageFailed, match=why):
        read_session(tmp_path)


# -- retention ----------------------------------------------------------------------------------------


def test_the_newest_sessions_are_kept(tmp_path: Path) -> None:
    names = finished(tmp_path, 5)
    pruned = prune_sessions(tmp_path, keep=2, max_disk_mb=100)
    assert sorted(pruned.removed) == names[:3]
    assert sorted(path.name for path in tmp_path.iterdir()) == names[3:]
    assert (pruned.kept, pruned.failed) == (2, ())


def test_the_disk_cap_removes_the_oldest_first(tmp_path: Path) -> None:
    names = finished(tmp_path, 4, size=400_000)
    pruned = prune_sessions(tmp_path, keep=100, max_disk_mb=1)
    assert sorted(pruned.removed) == names[:2]
    assert 800_000 <= pruned.kept_bytes <= 1_000_000


def test_the_current_session_and_one_in_use_stay_whatever_the_limits(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tradebot.storage.session import Session\n"
        "folder = Path(sys.argv[1])\n"
        "Session.create(folder, 'other', 1000, kind='run', instance='b', synthetic=False, money='',\n"
        "               link_latest=False)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    names = finished(tmp_path, 3, size=2_000_000)
    current = tmp_path / names[0]
    pruned = prune_sessions(tmp_path, keep=1, max_disk_mb=1, current=current)
    assert sorted(pruned.removed) == names[1:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["19700101T000001Z-other", names[0]]
    child.communicate(timeout=20)
    pruned = prune_sessions(tmp_path, keep=1, max_disk_mb=1, current=current)
    assert pruned.removed == ("19700101T000001Z-other",)


def test_folders_that_no_run_made_and_links_are_never_touched(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    (outside := tmp_path / "outside").mkdir()
    (outside / "session.json").write_text("{}")
    for name in ("notes", "20200101T000000Z-mine"):
        (sessions / name).mkdir(parents=True)
        (sessions / name / "file").write_text("keep me")
    (sessions / "20200101T000000Z-link").symlink_to(outside)
    finished(sessions, 2)
    assert len(prune_sessions(sessions, keep=1, max_disk_mb=1).removed) == 1
    assert (outside / "session.json").is_file()
    assert (sessions / "notes" / "file").is_file()
    assert (sessions / "20200101T000000Z-mine" / "file").is_file()


def test_pruning_where_there_is_nothing_does_nothing(tmp_path: Path) -> None:
    assert prune_sessions(tmp_path / "none", keep=1, max_disk_mb=1).removed == ()
