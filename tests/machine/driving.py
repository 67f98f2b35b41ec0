"""Does everything hold over millions of steps? `python -m tests.machine.driving`, asked by `task machine`.

An episode is a world of its own: a seed, some hundred steps, then quiet and the comparison. What fails is made short.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from tests.machine.steps import Step, drawn, take
from tests.machine.world import World

EPISODE_STEPS = 250
COMPARE_EVERY = 25
MOST_TRIES = 400


class Episode(Struct, frozen=True):
    """What came of one: its steps, the facts of each kind, and what broke, "" for nothing."""

    seed: int
    steps: int
    crashes: int
    kinds: dict[str, int]
    fault: str


def world_of(seed: int) -> World:
    """Return the world that the seed begins in."""
    return World("BNB" if seed % 4 == 0 else "", compare_every=COMPARE_EVERY)


def fault_of(seed: int, steps: Sequence[Step]) -> tuple[str, World | None]:
    """Return what breaks in an episode of these steps, "" for nothing, and the world at its end."""
    world = None
    try:
        world = world_of(seed)
        for step in steps:
            take(world, step)
        world.settle()
    except Exception as error:  # noqa: BLE001 - whatever ends an episode early is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})", world
    finally:
        if world is not None:
            world.close()
    return "", world


def episode(seed: int, count: int = EPISODE_STEPS) -> Episode:
    """Run one episode."""
    steps = drawn(random.Random(seed), count)
    fault, world = fault_of(seed, steps)
    if world is None:
        return Episode(seed, 0, 0, {}, fault)
    return Episode(seed, world.steps, world.crashes, world.kinds, fault)


def shortened(seed: int, steps: Sequence[Step]) -> list[Step]:
    """Return as few of the steps as still break the same promise, by leaving out ever smaller parts."""
    wanted = _kind(fault_of(seed, steps)[0])
    kept, size, tries = list(steps), len(steps) // 2, 0
    while size and tries < MOST_TRIES:
        at, shorter = 0, False
        while at < len(kept) and tries < MOST_TRIES:
            less = kept[:at] + kept[at + size :]
            tries += 1
            if _kind(fault_of(seed, less)[0]) == wanted:
                kept, shorter = less, True
            else:
                at += size
        size = size if shorter and size == 1 else size // 2
    return kept


def _kind(fault: str) -> str:
    """Return a fault without numbers and names of orders."""
    words = (word for word in fault.split() if not any(letter.isdigit() for letter in word))
    return " ".join(words)[:60]


def _episodes(first: int, count: int, jobs: int) -> Iterable[Episode]:
    seeds = range(first, first + count)
    if jobs == 1:
        yield from map(episode, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(episode, seeds)


def _show(seed: int, fault: str) -> None:
    print(f"seed {seed}: {fault}", flush=True)
    for step in shortened(seed, drawn(random.Random(seed), EPISODE_STEPS)):
        print(f"    {step},")


def main() -> int:
    """Run episodes until so many steps are done; return how many of them broke a promise, one at most."""
    parser = argparse.ArgumentParser(description="Drive bot and exchange at random, and check every step.")
    parser.add_argument("--steps", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9), help="which ones")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    parser.add_argument("--most-faults", type=int, default=3, help="how many faults end the run")
    asked = parser.parse_args()
    begun, steps, crashes, faults = time.monotonic(), 0, 0, 0
    kinds: Counter[str] = Counter()
    for number, one in enumerate(_episodes(asked.seed, -(-asked.steps // EPISODE_STEPS), asked.jobs), 1):
        steps, crashes = steps + one.steps, crashes + one.crashes
        kinds.update(one.kinds)
        if one.fault:
            faults += 1
            _show(one.seed, one.fault)
            if faults >= asked.most_faults:
                break
        if number % 200 == 0:
            print(f"{steps:,} steps, {steps / (time.monotonic() - begun):,.0f} a second, {faults} faults", flush=True)
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(kinds.items()))
    print(f"{steps:,} steps from seed {asked.seed}, {crashes:,} crashes, {faults} faults\n{told}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
