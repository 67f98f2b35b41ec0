"""Is an order ever lost or doubled, wherever the bot is killed and whatever the exchange does? `task matrix` asks.

    task matrix -- --cases 10000 --jobs 2 --seed 1 --resume matrix.jsonl     one JSON line a case, goes on where it was
    task matrix -- --only 4711 --keep                                        one case, its folder kept, logs at INFO
    task matrix -- --resume matrix.jsonl --table docs/reliability.md         writes the table of what was run

Exit code 1 where a case differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.crash import bot_side
from tests.crash.cases import Cases
from tests.crash.mutations import MUTATIONS
from tests.crash.running import Case, Outcome, run_case, warm
from tests.crash.scenes import SCENES
from tests.crash.table import write_table

_SHOWN: Final = 6
_LONGEST_WORDS: Final = 300
_EVERY: Final = 100
_STOPPED: Final = 143
"""The exit code of a program that SIGTERM ends, as shells expect."""


class Line(Struct, frozen=True):
    """One case as it stands in the file of results."""

    number: int
    seed: int
    scene: str
    kind: str
    family: str
    kill: str
    kills: int
    runs: int
    strikes: int
    differences: list[str]
    took_s: float
    cpu_s: float


def census(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the points of every play, by letting each go once."""
    found = {}
    for name in SCENES:
        place = folder / f"census-{name}"
        outcome = run_case(Case(-1, name), place, keep=True)
        if outcome.differences:
            raise SystemExit(f"{name} alone differs: {outcome.differences}")
        points = json.loads((place / bot_side.POINTS).read_bytes().splitlines()[0])
        found[name] = [(tap, label) for tap, label in points]
        shutil.rmtree(place)
    return found


def run_all(
    cases: Cases,
    numbers: Iterable[int],
    jobs: int,
    folder: Path,
    seed: int,
    mutation: str,
    told: Callable[[Line], None],
) -> None:
    """Run cases in `jobs` processes, each forked from this one; `told` hears of each as it ends."""
    todo = list(numbers)
    reader, writer = os.pipe()
    workers = []
    for index in range(jobs):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(reader)
            _work(cases, todo[index::jobs], folder, seed, mutation, writer)
        workers.append(pid)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as results:
            for line in results:
                told(msgspec.json.decode(line, type=Line))
    except BaseException:
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        for pid in workers:
            os.waitpid(pid, 0)


def _work(cases: Cases, numbers: list[int], folder: Path, seed: int, mutation: str, writer: int) -> None:
    code = 1
    try:
        for number in numbers:
            case = cases[number]
            mutate = MUTATIONS[mutation] if mutation else None
            outcome = run_case(case, folder / f"case-{number}", mutate)
            os.write(writer, msgspec.json.encode(_line(case, outcome, seed)) + b"\n")
        code = 0
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        import traceback

        traceback.print_exception(error)
    finally:
        os._exit(code)


def _line(case: Case, outcome: Outcome, seed: int) -> Line:
    return Line(
        case.number,
        seed,
        case.scene,
        case.kind,
        case.family,
        "; ".join(f"{kill.tap} {kill.label} {kill.nth}" for kill in case.kills),
        outcome.kills,
        outcome.runs,
        outcome.strikes,
        [words[:_LONGEST_WORDS] for words in outcome.differences[:_SHOWN]],
        outcome.took_s,
        outcome.cpu_s,
    )


def read_lines(path: Path | None) -> list[Line]:
    """Return the results of earlier runs; a line cut off by the end of one is left out."""
    if path is None or not path.exists():
        return []
    lines = []
    for text in path.read_bytes().splitlines():
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except msgspec.DecodeError:
            continue
    return lines


def main(arguments: list[str]) -> int:
    """Run what is asked for; return the exit code."""
    args = _parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tradebot-matrix-", dir=_memory()))
    try:
        warm()
        known = _census_of(args, folder)
        cases = Cases(known, args.seed)
        if args.only is not None:
            outcome = run_case(cases[args.only], folder / "only", keep=args.keep, level="INFO")
            print(cases[args.only])
            print(f"{outcome}\n{folder if args.keep else ''}")
            return int(bool(outcome.differences))
        done = read_lines(args.resume)
        had = {line.number for line in done if line.seed == args.seed}
        todo = _chosen(cases, args, had)
        print(f"{len(todo)} of {args.cases} cases to run, of {cases.cells} commands with a fault, {cases.points} kills")
        report = _Report(done, len(todo), args.resume, began, patient=not args.first_difference)
        with suppress(_Enough):
            run_all(cases, todo, args.jobs, folder, args.seed, args.mutation, report)
        print(report.summary())
        if args.table:
            write_table(args.table, report.lines)
        return int(any(line.differences for line in report.lines))
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _chosen(cases: Cases, args: argparse.Namespace, had: set[int]) -> list[int]:
    """Return the numbers of the cases that are asked for and were not run yet."""
    wanted = re.compile(args.like)
    every = (number for number in itertools.count(args.first) if wanted.search(_words(cases[number])))
    return [number for number in itertools.islice(every, args.cases) if number not in had]


def _words(case: Case) -> str:
    """Return what a case is about, in one line."""
    kills = "; ".join(f"{kill.tap} {kill.label} {kill.nth}" for kill in case.kills)
    return f"{case.scene}, {case.kind}, {case.family}, {kills}"


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own is made in it


def _census_of(args: argparse.Namespace, folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the census, kept beside the results, so that a number stays the same case."""
    kept: Path | None = args.census or (args.resume.with_suffix(".census.json") if args.resume is not None else None)
    if kept is not None and kept.exists():
        return {name: [(tap, label) for tap, label in points] for name, points in json.loads(kept.read_text()).items()}
    found = census(folder)
    if kept is not None:
        kept.write_text(json.dumps(found))
    return found


class _Enough(Exception):
    """A case differs, and no more is wanted."""


class _Report:
    """Hears of every case: keeps it in the file, and says how far it is."""

    def __init__(self, done: list[Line], todo: int, resume: Path | None, began: float, *, patient: bool) -> None:
        self._patient = patient
        self.lines = done
        self._fresh = 0
        self._todo = todo
        self._resume = resume
        self._began = began

    def __call__(self, line: Line) -> None:
        self.lines.append(line)
        self._fresh += 1
        if self._resume is not None:
            with self._resume.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
        if line.differences:
            words = f"{line.scene}, {line.kind}, {line.family}, {line.kill}"
            print(f"DIFFERENT case {line.number} ({words}):", flush=True)
            for difference in line.differences:
                print(f"    {difference}", flush=True)
            if not self._patient:
                raise _Enough
        if self._fresh % _EVERY == 0:
            print(self.summary(), flush=True)

    def summary(self) -> str:
        """Return how far it is."""
        took = time.monotonic() - self._began
        kills = sum(line.kills for line in self.lines)
        bad = sum(1 for line in self.lines if line.differences)
        cpu = sum(line.cpu_s for line in self.lines) / max(1, len(self.lines))
        return (
            f"{self._fresh} of {self._todo} cases in {took:.0f} s; {len(self.lines)} in all, {kills} kills, "
            f"{bad} with a difference, {cpu:.2f} s of CPU a case"
        )


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="task matrix --", description=__doc__, formatter_class=_Raw)
    add = parser.add_argument
    add("--cases", type=int, default=200, help="how many cases (200)")
    add("--first", type=int, default=0, help="the number of the first one (0)")
    add("--jobs", type=int, default=2, help="how many at a time (2)")
    add("--seed", type=int, default=1, help="which cases (1)")
    add("--resume", type=Path, help="the file of results, one JSON line a case; what stands in it is not run again")
    add("--table", type=Path, help="the page whose table is written")
    add("--only", type=int, help="run this one case, with logs")
    add("--keep", action="store_true", help="keep the folders of cases that differ")
    add("--like", default="", help="only cases whose words (play, command, fault, kills) have this regular expression")
    add("--first-difference", action="store_true", help="end at the first case that differs")
    add("--census", type=Path, help="where the points of every play are kept (beside the results)")
    add("--mutation", choices=sorted(MUTATIONS), default="", help="break a promise of the bot first")
    return parser.parse_args(arguments)


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Leaves the description's lines as they are."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
