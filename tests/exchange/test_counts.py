"""Do processes count together, whatever becomes of one of them or of the file?"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.exchange.walls import Wall
from tests.runtime.telling import Told
from tradebot.config.sections.exchange import Exchange
from tradebot.config.sections.exchange_health import RequestBudget
from tradebot.exchange.budget import Budget, HeldBack
from tradebot.exchange.counts import ORDERS, WEIGHT, CountsUnusable, SharedCounts, Sheet, private_folder
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.shared_budget import folder_of, shared_budget

ADD = """
import sys, time
from pathlib import Path
from tradebot.exchange.counts import WEIGHT, SharedCounts

def add(sheet):
    sheet.window(WEIGHT, 60_000).used += 1

counts = SharedCounts(Path(sys.argv[1]), print)
print("ready", flush=True)
while True:
    for _ in range(int(sys.argv[2])):
        counts.change(add)
        time.sleep(0.0001)
    if "end" not in sys.argv:
        break
print(counts.unshared)
"""

HOLD = """
import fcntl, sys, os, time
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()
"""


def add(sheet: Sheet) -> None:
    """Count one."""
    window = sheet.window(WEIGHT, 60_000)
    assert window is not None
    window.used += 1


def used(counts: SharedCounts) -> int:
    return sum(window.used for window in counts.read().windows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "binance.requests"


@contextmanager
def child(text: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until left; it is ready."""
    command = [sys.executable, "-c", text, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_one_counts_the_other_sees(path: Path) -> None:
    one, other = SharedCounts(path, print), SharedCounts(path, print)
    for _ in range(3):
        one.change(add)
        other.change(add)
    assert used(one) == used(other) == 6
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_that_count_at_once_lose_nothing_that_they_could_write(path: Path) -> None:
    with child(ADD, str(path), "1000") as first, child(ADD, str(path), "1000") as second:
        lost = 0
        for process in (first, second):
            assert process.stdout is not None
            lost += int(process.stdout.readline())
    counted = used(SharedCounts(path, print))
    assert 2000 - lost <= counted <= 2000, (
        "what was counted alone is written with the next change, if nobody else wrote"
    )
    assert counted > 500


def test_a_process_that_is_killed_while_it_counts_damages_nothing(path: Path) -> None:
    told: list[str] = []
    mine = SharedCounts(path, told.append)
    before = 0
    for _ in range(8):
        with child(ADD, str(path), "100", "end") as process:
            began = used(mine)
            limit = time.monotonic() + 20
            while used(mine) < began + 50 and time.monotonic() < limit:
                time.sleep(0)  # another process counts
            process.send_signal(signal.SIGKILL)
            process.wait()
        now = used(mine)
        assert now >= before + 50
        before = now
    mine.change(add)
    assert used(mine) == before + 1
    assert told == []


def test_a_process_that_stands_still_with_the_lock_stops_nobody(path: Path) -> None:
    counts = SharedCounts(path, print)
    counts.change(add)
    with child(HOLD, str(path)):
        begun = time.perf_counter()
        for _ in range(100):
            counts.change(add)
        assert time.perf_counter() - begun < 0.5
        assert counts.unshared == 100
        assert used(counts) == 101, "what could not be written is known here"


def test_a_killed_holder_of_the_lock_gives_it_back(path: Path) -> None:
    counts = SharedCounts(path, print)
    with child(HOLD, str(path)) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        counts.change(add)
    assert counts.unshared == 0


@pytest.mark.parametrize("damage", [b"no counts at all", b"TBRC" + b"\xff" * 2000])
def test_a_damaged_file_is_set_aside_told_and_counted_anew_with_what_is_known(path: Path, damage: bytes) -> None:
    told: list[str] = []
    counts = SharedCounts(path, told.append)
    other = SharedCounts(path, told.append)
    counts.change(add)
    path.write_bytes(damage)
    counts.change(add)
    assert used(counts) == 2
    assert path.with_name("binance.requests.damaged").read_bytes() == damage[:1025]
    assert len(told) == 1
    other.change(add)
    assert used(other) == used(counts) == 3, "whoever had the old file open finds the new one"


def test_one_damaged_slot_leaves_the_other(path: Path) -> None:
    counts = SharedCounts(path, print)
    for _ in range(5):
        counts.change(add)
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    data[512 + 20] ^= 0x00
    path.write_bytes(data)
    assert used(SharedCounts(path, print)) in {4, 5}


def test_a_file_that_is_deleted_is_made_anew_with_what_is_known(path: Path) -> None:
    counts = SharedCounts(path, print)
    counts.change(add)
    path.unlink()
    other = SharedCounts(path, print)
    other.change(add)
    counts.change(add)
    assert used(counts) == used(other) == 2


def test_a_place_that_goes_away_is_no_reason_to_stop_and_nothing_is_held_open(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    path = tmp_path / "place" / "x.requests"
    before = os.listdir("/proc/self/fd")
    counts = SharedCounts(path, print)
    counts.change(add)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    path.unlink()
    path.parent.rmdir()
    counts.change(add)
    assert used(counts) == 2
    assert counts.unshared == 1


def test_a_clock_that_was_wrong_does_not_hold_back_for_ever(path: Path) -> None:
    ahead, right = Wall(1_900_000_000_000), Wall(1_700_000_000_000)
    for wall in (ahead, right):
        budget = Budget(wall, RequestBudget(), SharedCounts(path, print))
        budget.note_limits([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100}])
        if wall is ahead:
            budget.note(200, {"X-MBX-USED-WEIGHT-1M": "100"})
            budget.note(418, {"Retry-After": "100"})
            with pytest.raises(HeldBack):
                budget.admit("safety")
        else:
            budget.admit("safety")


def test_a_ban_of_one_process_is_a_ban_of_all_of_them(path: Path) -> None:
    wall = Wall()
    one, other = (Budget(wall, RequestBudget(), SharedCounts(path, print)) for _ in range(2))
    one.note(418, {"Retry-After": "120"})
    with pytest.raises(HeldBack, match=r"banned by the exchange until "):
        other.admit("safety")
    assert other.banned


def test_more_limits_than_a_sheet_holds_are_left_out() -> None:
    sheet = Sheet()
    assert [sheet.window(ORDERS, 1_000 * n) is not None for n in range(1, 9)] == [True] * 6 + [False] * 2


# -- where it is ----------------------------------------------------------------------------------------


def test_address_and_account_have_a_file_each_and_no_key_is_in_its_name(tmp_path: Path) -> None:
    settings = Exchange.model_validate({"requests": {"folder": str(tmp_path / "counts")}})
    one = shared_budget(settings, Wall(), Told(), Credentials("key-one", "secret"))
    other = shared_budget(settings, Wall(), Told(), Credentials("key-two", "secret"))
    reader = shared_budget(settings, Wall(), Told())
    limits = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 1}]
    one.note_limits(limits)
    one.admit("exit")
    assert one.orders_spent_until_ms()
    assert not other.orders_spent_until_ms()
    one.note(418, {})
    assert reader.banned
    assert other.banned
    names = sorted(each.name for each in (tmp_path / "counts").iterdir())
    assert len(names) == 3
    assert not any("key" in name or "secret" in name for name in names)
    elsewhere = Exchange.model_validate(
        {"base_url": "http://127.0.0.1:1", "requests": {"folder": str(tmp_path / "counts")}}
    )
    assert not shared_budget(elsewhere, Wall(), Told()).banned


def test_the_folder_is_that_of_the_users_runtime(tmp_path: Path) -> None:
    assert folder_of(Exchange(), {"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "tradebot"
    assert folder_of(Exchange(), {"XDG_RUNTIME_DIR": str(tmp_path / "none")}).name == f"tradebot-{os.getuid()}"
    assert folder_of(Exchange(), {}).name == f"tradebot-{os.getuid()}"


def test_a_place_that_others_may_write_to_is_not_used_and_that_is_told(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(open_to_all)
    (tmp_path / "file").touch()
    for place in (open_to_all, link, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CountsUnusable):
            private_folder(place)
        log = Told()
        settings = Exchange.model_validate({"requests": {"folder": str(place)}})
        budget = shared_budget(settings, Wall(), log)
        assert [event_type for event_type, _ in log.records] == ["REQUEST_COUNTS_PRIVATE"]
        budget.admit("safety")


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "x.requests").symlink_to(target)
    with pytest.raises(CountsUnusable):
        SharedCounts(tmp_path / "x.requests", print)
    assert target.read_bytes() == b"precious"


def test_asking_costs_less_than_fifty_microseconds(path: Path) -> None:
    budget = Budget(Wall(), RequestBudget(), SharedCounts(path, print))
    budget.note_limits([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 10**9}])
    took = []
    for _ in range(500):
        begun = time.perf_counter()
        budget.admit("safety")
        took.append(time.perf_counter() - begun)
    assert sorted(took)[250] < 50e-6
    file = os.open(path, os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it
    os.close(file)
