"""Does the bot survive a spread sample of the crash matrix, and does the matrix notice a bot that breaks a promise?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 8
"""Each of another command and fault."""

BROKEN = {
    "journal-after-send": "sent place",
    "send-again": "(IOC|market) buy, (reset|hang) after",
    "trust-absence": "(GTC|IOC) buy, (accepted late|lost, found late, no events)",
    "forget-tail": "(sent place|written OrderSent)",
    "count-fills-twice": "event duplicate",
}
"""Which cases are near a promise."""

ALWAYS = {"send-again", "count-fills-twice"}
"""The promises whose breach every run of the tests wants noticed: an order sent twice, a fill booked twice."""


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the points of every play stand, once they were found."""
    path = tmp_path_factory.mktemp("matrix") / "census.json"
    done = matrix("--census", str(path), "--cases", "0")
    assert done.returncode == 0, done.stdout
    return path


def matrix(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the matrix as a person does."""
    return subprocess.run(
        (sys.executable, "-m", "tests.crash.matrix", "--jobs", "3", *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_a_killed_bot_and_its_exchange_agree_whatever_went_wrong(census: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    done = matrix("--census", str(census), "--cases", str(SAMPLE), "--resume", str(results))
    assert done.returncode == 0, done.stdout
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(lines) == SAMPLE
    assert len({(line["kind"], line["family"]) for line in lines}) == SAMPLE
    assert sum(line["kills"] for line in lines) >= SAMPLE // 2
    again = matrix("--census", str(census), "--cases", str(SAMPLE), "--resume", str(results))
    assert again.stdout.startswith(f"0 of {SAMPLE} cases to run"), again.stdout


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "mutation",
    [pytest.param(one, marks=() if one in ALWAYS else pytest.mark.soak) for one in sorted(BROKEN)],
)
def test_a_broken_promise_is_noticed(census: Path, mutation: str) -> None:
    words = ("--mutation", mutation, "--like", BROKEN[mutation], "--first-difference")
    done = matrix("--census", str(census), "--cases", "24", *words)
    assert done.returncode == 1, done.stdout
    assert "DIFFERENT case" in done.stdout


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_hundreds_of_cases_differ_nowhere(census: Path) -> None:
    done = matrix("--census", str(census), "--cases", "400", "--first", "1000")
    assert done.returncode == 0, done.stdout
