"""Does the same input give the same facts: again, in another process, and whatever the hash seed is?"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.engine.replays import recording, replayed, settings
from tradebot.domain.facts import OrderFilled

SEEDS = (3, 15, 16)


def digest(seed: int) -> str:
    """Return the digest of one random replay."""
    draw = random.Random(seed)
    recorded = recording(draw, candles=300, symbols=4)
    done = replayed(settings(draw), recorded, band=True)
    assert done.count(OrderFilled) > 5, "too little happened"
    return done.digest


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_tells_the_same_facts_twice(seed: int) -> None:
    assert digest(seed) == digest(seed)


def test_other_runs_tell_other_facts() -> None:
    assert len({digest(seed) for seed in SEEDS}) == len(SEEDS)


def test_the_facts_do_not_depend_on_the_hash_seed() -> None:
    code = f"from tests.engine.test_determinism import digest; print(*[digest(seed) for seed in {SEEDS}])"
    told = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert told == {" ".join(digest(seed) for seed in SEEDS) + "\n"}
