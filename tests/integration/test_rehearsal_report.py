"""Is a rehearsal in which something is wrong told as one?"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.comparing import Differences
from tests.integration.rehearsing_processes import Life, Party, Sample
from tests.integration.rehearsing_report import complaints, figures_of, table

AGREED = Differences((), 7, 5, 2)


def party(folder: Path, name: str, *codes: int) -> Party:
    """Return a program whose processes ended so."""
    made = Party(name, folder, [])
    for number, code in enumerate(codes, 1):
        output = folder / f"{name}-{number}.out"
        output.write_text("all is well\n")
        process = subprocess.Popen([sys.executable, "-S", "-c", ""], text=True)
        process.wait()
        made.lives.append(Life(process, 0.0, output, code=code))
    return made


def rows(first_kb: int, last_kb: int, *, fds: int = 0, threads: int = 0, length_s: int = 1_800) -> list[Sample]:
    """Return samples of a process that grows evenly."""
    return [
        Sample(
            at,
            first_kb + (last_kb - first_kb) * at // length_s,
            at / 10,
            20 + fds * at // length_s,
            8 + threads * at // length_s,
        )
        for at in range(1, length_s + 1)
    ]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Party, Party]:
    """A bot and an exchange of half an hour in which all was well."""
    bot, exchange = party(tmp_path, "bot", 0), party(tmp_path, "exchange", 0)
    for each in (bot, exchange):
        each.life.samples = rows(100_000, 100_100)
    session = tmp_path / "sessions" / "one"
    (session / "logs").mkdir(parents=True)
    (session / "session.json").write_text('{"shutdown": {"left": {"threads": [], "tasks": [], "threads_started": 6}}}')
    return bot, exchange


def wrong(folder: Path, both: tuple[Party, Party], *, calm: bool = True) -> list[str]:
    bot, exchange = both
    return complaints(figures_of(folder, 1_800, bot, exchange, Counter()), bot, exchange, calm=calm, symbols=10)


def test_where_all_was_well_nothing_is_wrong_and_memory_is_told_as_flat(
    tmp_path: Path, both: tuple[Party, Party]
) -> None:
    assert wrong(tmp_path, both) == []
    told = table(figures_of(tmp_path, 1_800, *both, Counter()), AGREED)
    assert "since warm: flat" in told
    assert "differences            0" in told


def test_a_memory_that_grows_is_wrong(tmp_path: Path, both: tuple[Party, Party]) -> None:
    both[0].life.samples = rows(100_000, 110_000)
    assert [line.split(" by ")[0] for line in wrong(tmp_path, both)] == ["bot memory grew"]


def test_a_short_life_is_not_judged_by_its_memory(tmp_path: Path, both: tuple[Party, Party]) -> None:
    both[0].life.samples = rows(100_000, 110_000, length_s=120)
    assert wrong(tmp_path, both) == []
    assert "too short to judge" in table(figures_of(tmp_path, 120, *both, Counter()), AGREED)


def test_descriptors_and_threads_that_pile_up_are_wrong(tmp_path: Path, both: tuple[Party, Party]) -> None:
    both[1].life.samples = rows(100_000, 100_000, fds=120, threads=60)
    assert [line.split()[:2] for line in wrong(tmp_path, both)] == [["exchange", "holds"], ["exchange", "has"]]


def test_who_ends_by_itself_or_not_with_zero_is_wrong(tmp_path: Path, both: tuple[Party, Party]) -> None:
    bot = party(tmp_path, "bot", -signal.SIGKILL, 1, 6)
    for life in bot.lives:
        life.samples = rows(100_000, 100_000)
    assert wrong(tmp_path, (bot, both[1])) == ["bot ended by itself with 1", "bot ended with 6"]


def test_a_traceback_is_wrong(tmp_path: Path, both: tuple[Party, Party]) -> None:
    both[0].life.output.write_text("Traceback (most recent call last):\n")
    assert wrong(tmp_path, both) == ["bot said 'Traceback (most recent call last):'"]


@pytest.mark.parametrize(
    ("shutdown", "told"),
    [
        ('{"left": {"threads": ["feed"], "tasks": []}}', "threads: feed"),
        ('{"left": {"tasks": ["watch"]}, "stragglers": ["feed"]}', "tasks: watch; stragglers: feed"),
        ("{}", "it cannot be said: it told of no end"),
    ],
)
def test_what_is_left_behind_is_wrong(tmp_path: Path, both: tuple[Party, Party], shutdown: str, told: str) -> None:
    (tmp_path / "sessions" / "one" / "session.json").write_text(f'{{"shutdown": {shutdown}}}')
    assert wrong(tmp_path, both) == [f"bot left behind {told}"]


def test_an_error_in_the_log_is_wrong_unless_something_was_done_to_them(
    tmp_path: Path, both: tuple[Party, Party]
) -> None:
    line = '{"time":"t","level":"ERROR","event_type":"ORDER_REJECTED","message":"no"}\n'
    (tmp_path / "sessions" / "one" / "logs" / "orders.jsonl").write_text(line)
    assert wrong(tmp_path, both) == ["1 ERROR ORDER_REJECTED"]
    assert wrong(tmp_path, both, calm=False) == []
