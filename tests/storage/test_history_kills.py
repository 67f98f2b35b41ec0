"""Does the profile history stand whole after a kill at any moment, and for whoever reads it meanwhile?"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.generations import digest, effective, files, open_history, read_history, verdict
from tradebot.domain.generation import Generation
from tradebot.storage.history import History, Restoring

STEPS_OF_A_LIFE = 140
"""SQL statements from the opening through one round of every method, and a little."""

Victim = subprocess.Popen[str]


@contextmanager
def victims(root: Path) -> Iterator[Victim]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.history_victim"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def live(victim: Victim, path: Path, *, step: int = 0, reports: int = 0, pause_s: float = 0.0) -> dict[str, list[int]]:
    """Let one life be lived; return what it reported done: the numbers of each kind, in order.

    It ends before SQL statement `step`, or `pause_s` after its report number `reports`.
    """
    assert victim.stdin is not None
    assert victim.stdout is not None
    victim.stdin.write(f"{path} {step}\n")
    victim.stdin.flush()
    done: dict[str, list[int]] = {"pid": [], "number": [], "begun": [], "applied": [], "restoring": [], "restored": []}
    for count, line in enumerate(victim.stdout):
        if line == "dead\n":
            return done
        what, number = line.split()
        done[what].append(int(number))
        if reports and count == reports:
            time.sleep(pause_s)
            os.kill(done["pid"][0], signal.SIGKILL)
    raise AssertionError("the process that forks the victims has died")


def whole(generation: Generation | None) -> bool:
    """Whether a generation has its own text, all of it."""
    return (
        generation is not None
        and generation.files == files(generation.number)
        and generation.digest == digest(generation.number)
        and generation.effective == effective(generation.number)
    )


def check(history: History, done: dict[str, list[int]], seen: set[int]) -> None:
    """Compare what stands in the history with what a life reported; `seen` are the numbers of all lives."""
    given = done["number"]
    assert seen.isdisjoint(given)
    assert len(set(given)) == len(given)
    seen.update(given)

    current = history.in_force()
    in_force = 0 if current is None else current.number
    assert in_force >= max(done["applied"], default=0)
    if current is not None:
        assert whole(current)
        assert current.state in {"applied", "good", "condemned"}
        assert [one.who for one in history.switches()] == [str(in_force)], "toggles change with the generation"
        assert history.verdict(digest(in_force)) != verdict(in_force, "pending"), "what waited is settled by the commit"
    unfinished = history.unfinished()
    assert all(whole(one) and one.number != in_force for one in unfinished)
    begun = {one.number for one in history.generations(1000)}
    assert begun >= set(done["begun"])
    assert begun <= seen
    for one in history.generations(1000):
        assert not one.files or whole(one)
        found = history.verdict(one.digest)
        assert (one.state == "condemned") == (found is not None and found.kind == "condemned")
    mark = history.restoring()
    assert mark is None or mark == Restoring(mark.number, files(-mark.number))
    if len(done["restoring"]) > len(done["restored"]):
        assert mark is None or mark.number == done["restoring"][-1]
    for one in unfinished:
        history.fail(one.number, 1, "killed")
    history.end_restore()
    number = history.next_number()
    assert number > max(seen | begun, default=0)
    seen.add(number)


def survive(path: Path, done: dict[str, list[int]], seen: set[int]) -> None:
    history = open_history(path)
    check(history, done, seen)
    history.close()


def test_a_kill_before_any_statement_leaves_a_whole_history(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    seen: set[int] = set()
    with victims(root) as victim:
        for step in range(1, STEPS_OF_A_LIFE):
            survive(path, live(victim, path, step=step), seen)
        assert len(live(victim, path, step=STEPS_OF_A_LIFE)["restored"]) >= 1, "the steps reach through every method"


def test_a_kill_while_the_file_is_made_leaves_one_that_can_be_used(tmp_path: Path, root: Path) -> None:
    with victims(root) as victim:
        for step in range(1, 40):
            survive(tmp_path / f"{step}.sqlite", live(victim, tmp_path / f"{step}.sqlite", step=step), set())


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_a_random_moment_leaves_a_whole_history(tmp_path: Path, root: Path, seed: int) -> None:
    path = tmp_path / "profiles.sqlite"
    chance = random.Random(seed)
    seen: set[int] = set()
    with victims(root) as victim:
        for _ in range(30):
            reports, pause_s = chance.randint(1, 12), chance.expovariate(1 / 0.002)
            survive(path, live(victim, path, reports=reports, pause_s=pause_s), seen)


def test_two_readers_see_whole_generations_that_only_rise_while_a_process_writes(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "profiles.sqlite"
    with victims(root) as victim:
        live(victim, path, reports=20)
    open_history(path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", f"from tests.storage.history_victim import *; work(Path({str(path)!r}))"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline()
    first, second = read_history(path), read_history(path)
    seen: list[int] = []
    while len(set(seen)) < 20:
        for reader in (first, second):
            current = reader.in_force()
            assert current is not None
            assert whole(current)
            seen.append(current.number)
            assert reader.generations(1)[0].number >= current.number
    assert seen == sorted(seen)
    writer.kill()
    writer.communicate(timeout=20)
    last = first.in_force()
    assert last is not None
    assert last.number >= seen[-1]
    first.close()
    second.close()
