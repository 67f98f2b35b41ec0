"""The parts of the runtime keep their promises one by one: clock, account, checkpoints, watchdog, leftovers."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.runtime.telling import Told
from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountDelta
from tradebot.domain.commands import QueryBalances
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import BalancesReported
from tradebot.domain.facts import OrderDone, OrderRejected
from tradebot.domain.orders import NO_CONNECTION, Side
from tradebot.runtime.account import StoredAccount
from tradebot.runtime.checkpoints import Checkpoints, whole_picture
from tradebot.runtime.clock import WallClock
from tradebot.runtime.component import ClosePart, ThreadPart, in_thread
from tradebot.runtime.errorbook import CountedLog, ErrorBook
from tradebot.runtime.leftovers import held, left_since
from tradebot.runtime.watchdog import Watchdog
from tradebot.venues.paper import PaperVenue

# -- the clock --------------------------------------------------------------------------------------


def test_time_never_goes_back_and_goes_on_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, mono = [10_000_000_000], [500_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: mono[0])
    clock = WallClock()
    assert clock.now_ms() == 10_000
    wall[0], mono[0] = 4_000_000_000, mono[0] + 250_000_000
    assert clock.now_ms() == 10_250
    wall[0], mono[0] = wall[0] + 250_000_000, mono[0] + 250_000_000
    assert clock.now_ms() == 10_500
    wall[0] = 11_000_000_000
    assert clock.now_ms() == 11_000


# -- threads ------------------------------------------------------------------------------------------


def test_a_thread_that_was_awaited_is_gone() -> None:
    async def left() -> list[str]:
        for _ in range(300):
            await in_thread("awaited", lambda: None)
            found = [thread.name for thread in threading.enumerate() if thread.name == "awaited"]
            if found:
                return found
        return []

    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert asyncio.run(left()) == []
    finally:
        sys.setswitchinterval(switch_s)


# -- the paper account --------------------------------------------------------------------------------


class Store:
    """A store that fails as often as the test wants."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.saved: list[AccountDelta] = []

    def save(self, delta: AccountDelta) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("no space")
        self.saved.append(delta)


def test_an_answer_is_held_until_what_it_tells_is_stored() -> None:
    store = Store(failures=2)
    account = StoredAccount(PaperVenue(Paper(), {}, "USDT", 1), store.save)
    with pytest.raises(StorageFailed):
        account.submit(QueryBalances(), 1000)
    assert account.next_due_ms == 0, "it wants to be asked again"
    with pytest.raises(StorageFailed):
        account.advance(1001)
    answers = account.advance(1002)
    assert [type(event) for _, event in answers] == [BalancesReported]
    assert [delta.balances["USDT"].free for delta in store.saved] == [Decimal(10_000)]
    assert account.next_due_ms > 1002
    assert account.advance(1003) == []


# -- checkpoints --------------------------------------------------------------------------------------


class Pictured:
    """Seven symbols; counts what is copied when."""

    symbols = tuple(f"S{number}" for number in range(7))

    def __init__(self) -> None:
        self.windows: list[str] = []

    def core_picture(self) -> bytes:
        return b'{"seq":5}'

    def window_picture(self, symbol: str) -> bytes:
        self.windows.append(symbol)
        return b"{}"


class Journalled:
    last_seq = 5
    durable_seq = 5


def test_windows_are_copied_in_slices_and_handed_over_together() -> None:
    engine, told = Pictured(), Told()
    submitted: list[tuple[bytes, list[str]]] = []

    def submit(core: bytes, windows: Sequence[tuple[str, bytes]]) -> None:
        submitted.append((core, [symbol for symbol, _ in windows]))

    ticks = itertools.count(0, 1_000_000)  # every look at the timer finds a millisecond gone
    chore = Checkpoints(engine, Journalled(), submit, 10.0, 3, 1_000, told, lambda: next(ticks))
    assert chore.next_due_ms == 11_000
    copied = []
    now = 11_000
    while not submitted:
        assert chore.next_due_ms <= now
        chore.run(now)
        copied.append(len(engine.windows))
        now += 1
    assert copied == [0, 3, 6, 7, 7]
    assert submitted == [(b'{"seq":5}', list(engine.symbols))]
    assert chore.next_due_ms == now - 1 + 10_000
    assert told.counts["checkpoint_cycle_ms"] == 5


def test_a_checkpoint_is_never_ahead_of_the_journal() -> None:
    journal = Journalled()
    journal.durable_seq = 4
    submitted: list[bytes] = []
    chore = Checkpoints(Pictured(), journal, lambda core, windows: submitted.append(core), 10.0, 7, 0, Told())
    now = 10_000
    waits = []
    for _ in range(6):
        chore.run(now)
        waits.append(chore.next_due_ms - now)
        now = max(now, chore.next_due_ms)
    assert submitted == []
    assert waits == [0, 0, 1, 3, 7, 15], "it asks less and less often"
    journal.durable_seq = 5
    chore.run(now)
    assert submitted == [b'{"seq":5}']


def test_the_last_picture_is_taken_whole() -> None:
    engine = Pictured()
    core, windows = whole_picture(engine)
    assert core == b'{"seq":5}'
    assert [symbol for symbol, _ in windows] == list(engine.symbols)


# -- the watchdog -------------------------------------------------------------------------------------


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now


def test_a_silent_part_is_reported_once_and_its_return_too(tmp_path: Path) -> None:
    told, clock, beats = Told(), Hands(), [0]
    watchdog = Watchdog(1.0, 3.0, clock, told, tmp_path / "stackdump.txt", told)
    watchdog.watch("engine", lambda: beats[0])
    for now in (1000, 3000, 3001, 9000):
        watchdog.look(now)
    assert told.records == [("COMPONENT_SILENT", "engine shows no sign of life for 3.0 s")]
    assert (tmp_path / "stackdump.txt").read_text().count("== stack dump") == 1
    beats[0] += 1
    watchdog.look(10_000)
    assert told.records[1:] == [("COMPONENT_BACK", "engine shows life again after 10.0 s")]


def test_a_dump_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    told = Told()
    watchdog = Watchdog(1.0, 3.0, Hands(), told, tmp_path / "absent" / "stackdump.txt", told)
    watchdog.dump("test", 0)
    assert told.kinds() == ["STACKDUMP_FAILED"]


# -- parts with a thread ------------------------------------------------------------------------------


def test_a_thread_part_goes_on_after_an_error_and_ends_when_told() -> None:
    told, turns, third = Told(), [0], threading.Event()

    def work() -> None:
        turns[0] += 1
        if turns[0] == 1:
            raise OSError("no space")
        if turns[0] == 3:
            third.set()

    async def main() -> None:
        part = ThreadPart("metrics", work, 0.001, 5.0, told, "METRICS_EXPORT_FAILED")
        await part.start()
        assert await asyncio.to_thread(third.wait, 20)
        await part.stop()
        await part.stop()

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == before
    assert told.records == [("METRICS_EXPORT_FAILED", "metrics: OSError: no space")]


def test_a_thread_part_that_does_not_end_says_so() -> None:
    release, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait()

    async def main() -> None:
        part = ThreadPart("metrics", work, 0.001, 0.05, Told(), "X")
        await part.start()
        assert await asyncio.to_thread(begun.wait, 20)
        with pytest.raises(TimeoutError, match="tradebot-metrics did not end within"):
            await part.stop()

    try:
        asyncio.run(main())
    finally:
        release.set()


def test_closing_in_a_thread_raises_what_closing_raises() -> None:
    def close() -> None:
        raise StorageFailed("3 facts are not written")

    with pytest.raises(StorageFailed, match="3 facts"):
        asyncio.run(ClosePart("journal", close).stop())


# -- what is left -------------------------------------------------------------------------------------


def test_threads_and_files_that_are_left_are_named(tmp_path: Path) -> None:
    before = held()
    assert left_since(before, 0, set()).clean
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()
    (tmp_path / "own").mkdir()
    with (tmp_path / "open").open("w"), (tmp_path / "own" / "lock").open("w"):
        left = left_since(before, 4, set(), ignore=tmp_path / "own")
    release.set()
    thread.join()
    assert left.threads == ("forgotten",)
    assert left.files == (str(tmp_path / "open"),)
    assert left.threads_cleaned_pct == 75.0
    assert str(left) == f"threads: forgotten; files: {tmp_path / 'open'}"
    assert left_since(before, 4, set()).threads_cleaned_pct == 100.0


def test_a_child_process_that_is_left_is_named() -> None:
    before = held()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        left = left_since(before, 0, set())
        child.communicate(b"\n")
    assert left.children == (str(child.pid),)
    assert left_since(before, 0, set()).clean


# -- errors ---------------------------------------------------------------------------------------------


def test_warnings_and_errors_are_counted_by_type() -> None:
    told, book = Told(), ErrorBook()
    log = CountedLog(told, book)
    told_of: list[tuple[Any, str]] = [("ERROR", "A"), ("ERROR", "A"), ("WARNING", "B"), ("INFO", "C")]
    for level, kind in told_of:
        log.emit("system", level, kind)
    assert told.kinds() == ["A", "A", "B", "C"]
    assert book.of("ERROR") == {"A": 2}
    assert book.words() == "2 errors (A 2), 1 warnings (B 1)"
    lost = OrderDone("t-1", "A/USDT", Side.BUY, "absent", Decimal(0), "proven absent")
    book.add_facts([lost, msgspec.structs.replace(lost, outcome="expired")])
    assert book.of("WARNING") == {"B": 1, "ORDER_DONE": 1}
    book.add_facts([OrderRejected("t-2", "A/USDT", Side.BUY, NO_CONNECTION, "no connection")])
    assert book.of("WARNING") == {"B": 1, "ORDER_DONE": 1, "ORDER_NOT_SENT": 1}
