"""Does the set-up work on a fresh clone, do nothing the second time, and refuse what it cannot use?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_IDLE_S = 1.0


def set_up(checkout: Path, elsewhere: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the checkout's set-up from another folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run(
        ["sh", checkout / ".ci/setup"],
        cwd=elsewhere,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a fresh clone of this checkout's last commit, at a path with a blank in it."""
    place = tmp_path / "a clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    return place


@pytest.mark.parametrize("interpreter", ["/no/such/python", "false"])
def test_an_interpreter_that_does_not_do_is_refused_by_name(clone: Path, tmp_path: Path, interpreter: str) -> None:
    ran = set_up(clone, tmp_path, PYTHON=interpreter)
    assert ran.returncode != 0
    assert ran.stderr == f"setup: no Python 3.11, 3.12 or 3.13 among: {interpreter}\n"
    assert not (clone / ".venv").exists()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_fresh_clone_is_set_up_once_and_then_left_alone(clone: Path, tmp_path: Path) -> None:
    first = set_up(clone, tmp_path, PYTHON=sys.executable)
    assert first.returncode == 0, first.stderr
    validate = [str(clone / ".venv/bin/tradebot"), "validate", "profiles/demo.toml"]
    valid = subprocess.run(validate, cwd=clone, capture_output=True, text=True, check=True)
    assert valid.stdout == "1 profile is valid\n"

    began = time.perf_counter()
    second = set_up(clone, tmp_path)
    assert time.perf_counter() - began < LONGEST_IDLE_S
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")

    lock = clone / "requirements.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace("--hash=sha256:", "--hash=sha256:0000"), encoding="utf-8")
    refused = set_up(clone, tmp_path, PYTHON=sys.executable)
    assert refused.returncode != 0
    assert not (clone / ".venv/.setup-lock").exists()
