"""Does a bot that trades follow thousands of edits, whole and exactly, and lose nothing? The seed is printed.

`task edits -- --edits 10000 --seed 7` makes so many; here it is as many as fit into some seconds.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.integration import auditing
from tests.integration.driving import Probed
from tests.integration.edits import WEIGHTS
from tests.integration.proving import Proof

EDITS = 10_000
HOURS_S = 3_000.0
"""Longest time for the long proof."""

SECONDS = 12.0
"""How long the edits of the short proof go on."""

LONGEST_GAP_MS = 3_000.0
"""Longest time between two turns of the loop, on a machine that does other things as well."""

MOST_RSS_KB = 250_000
"""Most memory at the end; it begins with some 65 MB, and grows to some 150 within the first edits."""

MOST_KB_A_GENERATION = 4.0
MOST_KB = 24_000.0
"""Most the history takes, and beyond that for every generation: what is pruned leaves its line."""

VIEW_EVERY = 20
TOLD_EVERY = 500


def proved(folder: Path, seed: int, edits: int, seconds: float) -> Proof:
    """Make edits until there were `edits` or `seconds` are over; fail where anything is not as it has to be."""
    print(f"\nedits of seed {seed}")
    proof = Proof(folder, seed)
    with Probed(folder) as bot:
        bot.wait_until_it_trades()
        before, end = bot.held(), time.monotonic() + seconds
        while proof.number < edits and (time.monotonic() < end or not of_every_kind(proof)):
            proof.step(bot)
            if not proof.number % VIEW_EVERY:
                proof.compare_view(bot)
            if not proof.number % TOLD_EVERY:
                print(f"{proof.number} edits, {bot.held()}", flush=True)
        proof.settle(bot)
        proof.compare_view(bot)
        after = bot.held()
        bot.process.send_signal(signal.SIGTERM)
        assert bot.finish() == 0, bot.text(40)
        proof.compare_engine(bot)
    print(f"{proof.number} edits: {dict(proof.done)}; became {dict(proof.became)}; {before} → {after}; {bot.end}")
    assert after["threads"] <= before["threads"] + 1, (before, after)
    assert after["files"] <= before["files"] + 3, (before, after)
    assert after["rss_kb"] < MOST_RSS_KB, (before, after)
    assert bot.end["gaps"]["max"] < LONGEST_GAP_MS, bot.end
    audited(proof, bot)
    return proof


def of_every_kind(proof: Proof) -> bool:
    """Whether every kind of edit was made, and everything became of one that may."""
    became = {"applied", "pending", "rejected", "refused", "unchanged"}
    return set(proof.done) == set(WEIGHTS) and became <= set(proof.became)


def audited(proof: Proof, bot: Probed) -> None:
    """Fail where what the run left behind tells of anything that is not as it has to be."""
    lines = auditing.journal(bot.home)
    auditing.audit_generations(lines, proof.generations, bot.home)
    seen = auditing.audit_orders(lines)
    print(dict(seen))
    proof.facts = seen
    assert seen["OrderSent"], "it traded"
    auditing.audit_account(lines, bot.home)
    assert auditing.audit_logs(lines, proof.folder / "latest_session") > 100
    auditing.audit_end(proof.folder, bot.said)
    history_kb = sum(path.stat().st_size for path in bot.home.glob("profiles.sqlite*")) / 1024
    assert history_kb < MOST_KB + MOST_KB_A_GENERATION * len(proof.generations)


def test_edits_of_every_kind_are_followed_exactly_while_it_trades(tmp_path: Path) -> None:
    proof = proved(tmp_path, random.SystemRandom().randrange(10**6), 100_000, SECONDS)
    assert of_every_kind(proof)


@pytest.mark.soak
def test_ten_thousand_edits(tmp_path: Path) -> None:
    proof = proved(tmp_path, random.SystemRandom().randrange(10**6), EDITS, HOURS_S)
    assert proof.number == EDITS
    assert min(proof.facts[kind] for kind in ("OrderFilled", "PositionClosed", "cancelled: wait")) > 100, proof.facts


def main() -> None:
    parser = argparse.ArgumentParser(description="Make random edits of a bot that trades, and check every one.")
    parser.add_argument("--edits", type=int, default=EDITS, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="which ones")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edits-") as folder:
        proved(Path(folder), asked.seed, asked.edits, HOURS_S)


if __name__ == "__main__":
    main()
