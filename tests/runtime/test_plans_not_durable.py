"""Is no order sent while its plan cannot be written, whatever is wrong with the disk, and exactly once afterwards?"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.runtime.test_outbox import Wire, place
from tests.storage.journals import WAIT_S, fact, open_journal, planned
from tests.storage.test_journal import fill_up
from tradebot.domain.errors import StorageFailed
from tradebot.runtime.outbox import Outbox
from tradebot.storage.journal_file import Durability, read_facts

DURABILITIES: list[Durability] = ["power", "process"]

Mend = Callable[[], None]


def full(path: Path) -> Mend:
    ballast = path.with_name("ballast")
    fill_up(ballast)
    return ballast.unlink


def busy(path: Path) -> Mend:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def mend() -> None:
        other.execute("ROLLBACK")
        other.close()

    return mend


def failing(path: Path) -> Mend:
    """Let every write that makes a file longer fail as a broken disk's does: SQLite calls it a disk I/O error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(f"{path.name}-wal").stat().st_size, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


FAULTS = {"full": full, "busy": busy, "failing": failing}


def prove(path: Path, durability: Durability, fault: str) -> None:
    """Plan an order while the disk has a fault: it leaves once that is over, and only then."""
    wire = Wire()
    journal = open_journal(path, durability=durability)
    failed, recovered = threading.Event(), threading.Event()
    journal.on_failure(lambda _: failed.set())
    journal.on_recovery(lambda _: recovered.set())
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)
    outbox = Outbox(wire, journal)
    mend = FAULTS[fault](path)
    outbox.put([place("a")], journal.append([planned("a")], 2), 2)
    assert failed.wait(WAIT_S)
    for now_ms in range(3, 50):
        outbox.flush(now_ms)
    assert wire.requests == []
    assert journal.durable_seq == 1
    assert [seq for seq, _, _ in journal.read(0)] == [1], "what is told as not durable is not in the file either"
    mend()
    assert recovered.wait(WAIT_S)
    assert journal.flush(WAIT_S)
    outbox.flush(50)
    outbox.flush(51)
    assert wire.requests == [place("a")]
    assert journal.close(WAIT_S)
    assert [found for _, _, found in read_facts(path)] == [fact(1), planned("a")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "1m") as disk:
        yield disk


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("fault", ["full", "busy"])
def test_an_order_waits_for_its_plan(disk: Path, fault: str, durability: Durability) -> None:
    prove(disk / "journal.sqlite", durability, fault)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_an_order_waits_for_a_disk_that_fails(tmp_path: Path, root: Path, durability: Durability) -> None:
    script = f"""
from pathlib import Path
from tests.runtime.test_plans_not_durable import prove
prove(Path({str(tmp_path / "journal.sqlite")!r}), {durability!r}, "failing")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("new", [True, False])
def test_a_journal_on_a_disk_that_is_read_only_is_refused(disk: Path, durability: Durability, new: bool) -> None:
    path = disk / "journal.sqlite"
    if not new:
        assert open_journal(path, durability=durability).close(WAIT_S)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StorageFailed, match=r"journal\.sqlite: the journal cannot be (opened|read) \("):
        open_journal(path, durability=durability)


COMMITS = 20


@pytest.mark.parametrize("durability", DURABILITIES)
def test_with_power_every_commit_is_waited_for_on_the_disk(tmp_path: Path, root: Path, durability: Durability) -> None:
    if shutil.which("strace") is None:
        pytest.skip("system calls cannot be counted here: there is no strace")
    script = f"""
from pathlib import Path
from tests.storage.journals import WAIT_S, fact, open_journal
journal = open_journal(Path({str(tmp_path / "journal.sqlite")!r}), durability={durability!r})
for number in range({COMMITS}):
    journal.append([fact(number)], number)
    assert journal.flush(WAIT_S)
"""
    calls = tmp_path / "calls"
    trace = ["strace", "-f", "-y", "-o", str(calls), "-e", "trace=fsync,fdatasync", sys.executable, "-c", script]
    done = subprocess.run(trace, cwd=root, check=False, capture_output=True, text=True)
    if "ptrace" in done.stderr:
        pytest.skip("system calls cannot be counted here: tracing is not allowed")
    assert done.returncode == 0, done.stderr
    waited = [line for line in calls.read_text().splitlines() if "sync(" in line]
    of_the_log = [line for line in waited if "journal.sqlite-wal>" in line]
    folder = [line for line in waited if f"{tmp_path}>" in line]
    assert (len(of_the_log) >= COMMITS) is (durability == "power"), waited
    assert folder or durability == "process", "the names of the new files are on the disk"
