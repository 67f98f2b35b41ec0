"""Is the durable home one bot's alone, and is a file ever seen half written?"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tradebot.domain.errors import CannotStart, StorageFailed
from tradebot.storage.files import disk_bytes, set_aside, write_atomic
from tradebot.storage.home import LOOK_S, Home, doing, holder

NOW = 1_795_364_703_123

HOLDER = """
import sys
from pathlib import Path
from tradebot.storage.home import Home
home = Home.open(Path(sys.argv[1]), "bot")
print("held", flush=True)
sys.stdin.read()
"""


def hold(state: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.communicate(timeout=20)


def test_the_home_is_private_and_names_its_files(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "deep" / "state", "bot")
    assert home.folder == tmp_path / "deep" / "state" / "bot"
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert {home.journal.parent, home.checkpoint.parent, home.account.parent} == {home.folder}
    home.close()
    home.close()


def test_an_open_home_is_made_private_again(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir(mode=0o755)
    (tmp_path / "bot").chmod(0o755)
    home = Home.open(tmp_path, "bot")
    assert home.folder.stat().st_mode & 0o777 == 0o700
    home.close()


def test_a_second_bot_is_refused_and_told_who_holds_the_home(tmp_path: Path) -> None:
    child = hold(tmp_path)
    with pytest.raises(CannotStart, match=rf"in use by another tradebot \(process {child.pid}\)"):
        Home.open(tmp_path, "bot")
    Home.open(tmp_path, "other").close()
    end(child)
    Home.open(tmp_path, "bot").close()


def test_who_holds_a_home_is_told_without_touching_it(tmp_path: Path) -> None:
    assert holder(tmp_path / "bot") is None
    assert list(tmp_path.iterdir()) == []
    child = hold(tmp_path)
    assert holder(tmp_path / "bot") == child.pid
    (tmp_path / "bot" / "lock").write_bytes(b"")
    assert holder(tmp_path / "bot") == 0
    end(child)
    assert holder(tmp_path / "bot") is None
    assert os.listdir(tmp_path / "bot") == ["lock"]


def test_what_the_holder_is_doing_is_told_while_it_holds_the_home_and_not_longer(tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    assert doing(folder) == ""
    home = Home.open(tmp_path, "bot")
    assert doing(folder) == ""
    home.tell("starting: it waits\nfor much longer than that")
    assert doing(folder) == "starting: it waits for much longer than that"
    assert holder(folder) == os.getpid()
    home.tell("starting")
    assert doing(folder) == "starting"
    home.tell("")
    assert doing(folder) == ""
    home.tell("ending")
    home.close()
    home.tell("gone")
    assert doing(folder) == ""
    Home.open(tmp_path, "bot").close()
    assert (folder / "lock").read_text() == f"{os.getpid()}\n\n"


def test_a_bot_begins_though_somebody_looks_at_that_moment(tmp_path: Path) -> None:
    Home.open(tmp_path, "bot").close()
    looking = os.open(tmp_path / "bot" / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    gone = threading.Timer(LOOK_S / 5, os.close, [looking])
    gone.start()
    Home.open(tmp_path, "bot").close()
    gone.join()


def test_a_killed_bot_leaves_no_lock(tmp_path: Path) -> None:
    child = hold(tmp_path)
    child.send_signal(signal.SIGKILL)
    end(child)
    Home.open(tmp_path, "bot").close()


def test_a_home_that_cannot_be_made_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CannotStart, match="durable home cannot be used"):
        Home.open(tmp_path / "state", "bot")


def test_an_atomic_write_replaces_privately_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for data in (b"one", b"two" * 100_000):
        write_atomic(path, data)
        assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file.json"]


def test_an_atomic_write_that_fails_keeps_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "file.json"
    with pytest.raises(StorageFailed, match=r"file\.json: cannot be written \(No such file or directory\)"):
        write_atomic(path, b"x")


def test_an_atomic_write_on_a_full_disk_keeps_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file.json"
    write_atomic(path, b"old")
    with pytest.raises(StorageFailed, match="No space left on device"):
        write_atomic(path, b"x" * 2_000_000)
    assert path.read_bytes() == b"old"
    assert os.listdir(small_disk) == ["file.json"]


READER = """
import sys
from pathlib import Path
from tradebot.storage.files import write_atomic
path = Path(sys.argv[1])
number = 0
while True:
    number += 1
    write_atomic(path, bytes([number % 256]) * 200_000, durable=False)
    if number == 3:
        print("going", flush=True)
"""


def test_readers_and_kills_never_see_a_half_written_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    child = subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    seen: set[int] = set()
    while len(seen) < 20:
        data = path.read_bytes()
        assert data == data[:1] * 200_000
        seen.add(data[0])
    child.kill()
    child.communicate(timeout=20)
    data = path.read_bytes()
    assert data == data[:1] * 200_000


def test_setting_aside_renames_with_the_time_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    assert set_aside(path, NOW) is None
    names = []
    for data in ("first", "second"):
        path.write_text(data)
        path.with_name("account.sqlite-wal").write_text(f"{data} wal")
        aside = set_aside(path, NOW, tails=("-wal", "-shm"))
        assert aside is not None
        assert aside.read_text() == data
        assert aside.with_name(f"{aside.name}-wal").read_text() == f"{data} wal"
        names.append(aside.name)
    assert names == ["account.sqlite.20261122T162503Z", "account.sqlite.20261122T162503Z-2"]
    assert not path.exists()


def test_disk_use_counts_files_below_and_follows_no_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "outside").write_bytes(b"x" * 5000)
    (inside / "link").symlink_to(tmp_path / "outside")
    assert 1000 <= disk_bytes(inside) < 2000
    assert disk_bytes(tmp_path / "nowhere") == 0
