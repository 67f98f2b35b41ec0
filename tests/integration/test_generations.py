"""Killed at every step of a reload, a rollback, a toggle or a start: does the next start run one valid generation?"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.generations_kit import Nursery, Place
from tests.integration.processes import Bot
from tradebot.control.client import NoBot, Refused, Unanswered
from tradebot.domain.views import OutcomeView

pytestmark = pytest.mark.timeout(240)

SOUND = """
[reload]
sweep_s = 60
"""
"""No reading but those that are asked for."""

CALM = f"{SOUND}probation_s = 0\n"
"""Every generation is good at once."""

GUARDED = f"{SOUND}guards.max_slow_cycles_per_min = 1\n"

HARMFUL = "[engine]\nslow_cycle_s = 0.0000001\n"
"""Every cycle is a slow one: the guard is breached at its first look."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


class Way:
    """One way to another generation: what comes before it, and the asking.

    Its own steps go from `first` (all, where it is empty) to `last`.

    `old` and `new` are the texts that may stand on the disk, and be in force, whenever it is cut off.
    """

    common = CALM
    first = ""
    last = "after passed 1"
    turn = 0

    def __init__(self, place: Place, bot: Bot) -> None:
        Way.turn += 1
        self.place = place
        self.bot = bot
        self.old = self.new = place.texts()
        self.prepare()

    def prepare(self) -> None:
        """Come to where the way begins."""

    def go(self) -> None:
        """Ask for it."""
        raise NotImplementedError

    def text(self, more: str = "") -> str:
        """Return a text that was never there before, of settings that loosen nothing."""
        return f"# text {self.turn}\n[exits]\ntake_profit_bps = {30 + self.turn / 1000}\n{more}"

    def edited(self, text: str, common: str = "") -> int:
        """Save both files and let the bot take them; return the generation."""
        self.place.save(text, common)
        outcome = self.place.ask(lambda bot: bot.reload())
        assert outcome.outcome in {"applied", "unchanged"}, outcome.lines
        return self.place.in_force().number

    def asked(self, outcome: OutcomeView) -> None:
        assert outcome.outcome == "applied", outcome.lines

    def check(self) -> None:
        """Assert what holds of this way after the next start."""
        assert self.place.texts() in {self.old, self.new}


class Edit(Way):
    def go(self) -> None:
        self.new = self.place.save(self.text(), f"# {self.turn}\n")

    def check(self) -> None:
        assert self.place.texts() == self.new, "a bot writes no file for an edit"
        assert self.place.in_force().files[-1].source == self.new[1], "it was valid: a start runs what is written"


class Confirm(Way):
    def prepare(self) -> None:
        self.before = self.place.in_force().files[-1].source
        self.new = self.place.save(self.text(f"max_hold_s = {2 + self.turn / 1000}\n"))
        assert self.place.ask(lambda bot: bot.reload()).outcome == "pending"

    def go(self) -> None:
        self.asked(self.place.ask(lambda bot: bot.reload(confirm=True)))

    def check(self) -> None:
        assert self.place.texts() == self.new
        assert self.place.in_force().files[-1].source in {self.before, self.new[1]}


class Rollback(Way):
    def prepare(self) -> None:
        self.number = self.edited(self.text(), f"# common {self.turn}\n")
        self.new = self.place.texts()
        self.edited(self.text("# another\n"), f"# another common {self.turn}\n[logging]\nlevel = 'DEBUG'\n")
        self.old = self.place.texts()

    def go(self) -> None:
        self.asked(self.place.ask(lambda bot: bot.rollback(self.number)))

    def check(self) -> None:
        super().check()
        assert tuple(one.source for one in self.place.in_force().files[-2:]) == self.place.texts()


class Toggle(Way):
    def prepare(self) -> None:
        self.on = not self.place.status().profile.overrides

    def go(self) -> None:
        self.asked(self.place.ask(lambda bot: bot.switch("stale_warnings", False if self.on else None)))


class Automatic(Way):
    common = GUARDED
    first = "before condemn 1"
    last = "after retire 2"

    def prepare(self) -> None:
        self.place.ask(lambda bot: bot.resume())
        if self.place.texts()[1].find(b"slow_cycle_s") > 0:  # the last one was rolled back, or never applied
            self.place.save(self.text())
            if self.place.reload() == "pending":  # or it is in force: to slow fewer cycles loosens
                self.asked(self.place.ask(lambda bot: bot.reload(confirm=True)))
        self.old = self.place.texts()

    def go(self) -> None:
        self.new = self.place.save(f"# text {self.turn}\n{HARMFUL}")

    def check(self) -> None:
        super().check()
        assert self.place.status().paused == "guard", "the way back loosens: it pauses buying before anything else"


WAYS: dict[str, type[Way]] = {
    "edit": Edit, "confirm": Confirm, "rollback": Rollback, "toggle": Toggle, "automatic": Automatic
}  # fmt: skip


def sampled(steps: Sequence[str], every: int) -> list[str]:
    """Return every so-manieth step, beginning at another one each time, which is printed."""
    if every == 1:
        return list(steps)
    seed = random.SystemRandom().randrange(every)
    print(f"seed {seed}: every {every} steps from that one on")
    return list(steps[seed::every])


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("edit", 1),
        ("confirm", 1),
        ("toggle", 1),
        ("rollback", 3),
        ("automatic", 3),
        pytest.param("rollback", 1, marks=pytest.mark.soak),
        pytest.param("automatic", 1, marks=pytest.mark.soak),
    ],
)
def test_a_kill_at_any_step_leaves_the_old_generation_or_the_new_one(
    nursery: Nursery, tmp_path: Path, name: str, every: int
) -> None:
    make = WAYS[name]
    place = Place(nursery, tmp_path, make.common)
    with place.start() as bot:
        place.up(bot)
        way = make(place, bot)
        place.settled()
        place.arm("")
        way.go()
        place.until(lambda: f"{way.last}\n" in (tmp_path / "steps").read_text())
        steps = place.disarm()
        own = steps[steps.index(way.first) if way.first else 0 :]
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    number = 0
    for step in [*sampled(own, every), ""]:
        with place.start() as bot:
            number, least = place.up(bot), number
            assert number >= least, step
            way.check()
            if not step:
                place.ask(lambda asked: asked.resume())  # a guard's way back that loosens a limit pauses buying
                bot.wait_for("POSITION_OPENED")
                bot.send(signal.SIGTERM)
                assert bot.end() == 0, bot.text
                break
            way = make(place, bot)
            place.settled()
            place.arm(step)
            with suppress(NoBot, Unanswered, AssertionError):
                way.go()
            assert bot.end() == -signal.SIGKILL, f"{step}: {bot.text}"
            place.disarm()
    place.check_orders()


@pytest.mark.parametrize(
    ("carries", "every"),
    [(False, 1), (True, 3), pytest.param(True, 1, marks=pytest.mark.soak)],
    ids=["edited", "interrupted-rollback", "interrupted-rollback-whole"],
)
def test_a_kill_at_any_step_of_a_start_leaves_it_to_the_next_one(
    nursery: Nursery, tmp_path: Path, carries: bool, every: int
) -> None:
    place = Place(nursery, tmp_path, CALM)
    steps, todo, number = list[str](), [""], 0
    while todo:
        step = todo.pop(0)
        with place.start() as bot:
            number, least = place.up(bot), number
            assert number >= least
            place.settled()
            way = Rollback(place, bot) if carries else Edit(place, bot)
            if carries:
                place.settled()
                place.arm("after begin_restore 1")
                with suppress(NoBot, Unanswered):
                    way.go()
            else:
                bot.send(signal.SIGKILL)
                way.go()
            assert bot.end() == -signal.SIGKILL
            place.forget_steps()
        place.arm(step)
        with place.start() as bot:
            if step:
                assert bot.end() == -signal.SIGKILL, f"{step}: {bot.text}"
                place.disarm()
            else:
                bot.wait_for("trading is allowed")
                place.until(lambda: "after prune 1\n" in (tmp_path / "steps").read_text())
                steps = place.disarm()
                todo = sampled(steps[: steps.index("after prune 1") + 1], every)
                bot.send(signal.SIGKILL)
        with place.start() as bot:
            number, least = place.up(bot), number
            assert number >= least, step
            way.check()
            if carries:
                assert place.texts() == way.new, "a rollback that was begun is carried through"
            bot.send(signal.SIGKILL)
    assert {"before begin 1", "after commit 1"} <= set(steps)
    assert not carries or {"before replace 1", "after end_restore 1"} <= set(steps)


def kill_at_random(nursery: Nursery, folder: Path, seed: int, seconds: float) -> int:
    """Kill bots at random moments during random changes for so long; return how many."""
    chance, end, kills, number = random.Random(seed), time.monotonic() + seconds, 0, 0
    place = Place(nursery, folder, CALM)
    while time.monotonic() < end:
        with place.start() as bot:
            number, least = place.up(bot), number
            assert number >= least
            dies = threading.Timer(chance.uniform(0.0, 0.25), os.kill, (bot.process.pid, signal.SIGKILL))
            dies.start()
            with suppress(NoBot, Unanswered, AssertionError):
                while bot.process.poll() is None:
                    change_at_random(place, bot, chance)
            dies.join()
            assert bot.end() == -signal.SIGKILL
            kills += 1
    with place.trading() as bot:
        bot.wait_for("POSITION_OPENED")
    place.check_orders()
    return kills


def change_at_random(place: Place, bot: Bot, chance: random.Random) -> None:
    """Edit, confirm, toggle or roll back."""
    kind = chance.choice(["edit", "edit", "loosen", "confirm", "toggle", "rollback"])
    Way.turn += 1
    if kind in {"edit", "loosen"}:
        hold_s = 2 if kind == "edit" else chance.uniform(2, 3)
        place.save(f"# text {Way.turn}\n[exits]\nmax_hold_s = {hold_s}\n", f"# common {Way.turn}\n")
        place.reload()
    elif kind == "confirm":
        place.reload(confirm=True)
    elif kind == "toggle":
        on = chance.choice([True, False, None])
        place.ask(lambda asked: asked.switch("stale_warnings", on))
    else:
        number = max(1, place.in_force().number - chance.randint(0, 4))
        with suppress(Refused):
            place.ask(lambda asked: asked.rollback(number))


def test_kills_at_random_moments_of_random_changes_leave_one_valid_generation(nursery: Nursery, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    assert kill_at_random(nursery, tmp_path, seed, seconds=10) > 3


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_kills_at_random_moments_for_minutes_leave_one_valid_generation(nursery: Nursery, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    print(f"{kill_at_random(nursery, tmp_path, seed, seconds=600)} kills")
