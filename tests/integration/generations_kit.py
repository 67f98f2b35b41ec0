"""How is a bot's profile followed over starts and kills? Its folder, what it says, and what must hold after any end."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import TypeVar, cast

from tests.integration.processes import PATIENCE_S, QUICK, ROOT, Bot
from tradebot.config.loader import load_profile
from tradebot.config.show import effective
from tradebot.control import client
from tradebot.control.client import Client
from tradebot.control.place import standing
from tradebot.domain.facts import ProfileTaken
from tradebot.domain.generation import Generation
from tradebot.domain.order_facts import OrderPlanned
from tradebot.domain.views import StatusView
from tradebot.runtime.generations import stored, toggles
from tradebot.storage.history import History
from tradebot.storage.journal_file import read_facts

DYING = Path(__file__).with_name("dying.py")

EVERY = 1_000_000

EAGER = "cooldown_s = 0\ndebounce_s = 0"
"""It buys again at once, also in a run that has just begun."""

T = TypeVar("T")

Texts = tuple[bytes, bytes]
"""What the two files of the profile hold: the one it extends, and itself."""


class Nursery:
    """Where bots that can die are forked from, one at a time."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(PATIENCE_S)
        self._process = subprocess.Popen(
            [sys.executable, "-X", "dev", str(DYING), str(theirs.fileno())],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def close(self) -> None:
        """End it."""
        self.ours.close()
        self._process.wait(PATIENCE_S)


class Forked:
    """A forked bot's process, as `subprocess.Popen` would be one."""

    def __init__(self, nursery: Nursery, folder: Path, words: Sequence[str], env: dict[str, str]) -> None:
        self._ours = nursery.ours
        reading, writing = os.pipe()
        request = {"folder": str(folder), "words": words, "env": env}
        socket.send_fds(self._ours, [json.dumps(request).encode()], [writing])
        os.close(writing)
        self._told = self._ours.makefile("rb", buffering=0)
        self.pid = int(self._told.readline())
        self.stdout = os.fdopen(reading)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Return the exit code once it has ended."""
        if self.returncode is None:
            self._ours.settimeout(timeout)
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class DyingBot(Bot):
    """A bot that was forked."""

    def __init__(self, folder: Path, process: Forked) -> None:
        self.folder = folder
        self.process = cast("subprocess.Popen[str]", process)
        self.lines = []
        self._fresh = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()


class Place:
    """A folder with a profile in two files, all its own, and the bot's home in it.

    `numbers` are all generations that were ever seen there, with what they hold.
    """

    def __init__(self, nursery: Nursery, folder: Path, common: str = "", text: str = "") -> None:
        self._nursery = nursery
        self.folder = folder
        self.home = folder / "state" / "demo"
        self.profile = folder / "quick.toml"
        self.common = folder / "common.toml"
        self.env: dict[str, str] = {}
        self.numbers: dict[int, tuple[object, ...]] = {}
        shutil.copytree(ROOT / "profiles", folder / "lib")
        eager = QUICK.replace("volatility_bps = 12", "volatility_bps = 40").replace("cooldown_s = 0", EAGER)
        self.quick = eager.replace(f"{ROOT}/profiles/", "lib/") + common
        self.save(text)

    def save(self, text: str, common: str = "") -> Texts:
        """Replace both files, as an editor does: the profile holds `text`, the one it extends the settings `common`."""
        for path, source in ((self.common, self.quick + common), (self.profile, f'extends = "common.toml"\n{text}')):
            if not path.exists() or path.read_text() != source:
                put(path, source.encode())
        return self.texts()

    def texts(self) -> Texts:
        """Return what the two files hold."""
        return self.common.read_bytes(), self.profile.read_bytes()

    def start(self, *arguments: str) -> Bot:
        """Start a bot that dies where `arm` says."""
        words = ["--profile", self.profile.name, *arguments, "--headless"]
        return DyingBot(self.folder, Forked(self._nursery, self.folder, words, self.env))

    @contextmanager
    def trading(self, *arguments: str) -> Iterator[Bot]:
        """Run a bot until it trades, and end it cleanly."""
        with self.start(*arguments) as bot:
            self.up(bot)
            yield bot
            bot.send(signal.SIGTERM)
            assert bot.end() == 0, bot.text

    def refused(self, *arguments: str) -> tuple[int, str]:
        """Start a bot that does not come to trade; return its exit code and what it printed."""
        with self.start(*arguments) as bot:
            return bot.end(), bot.text

    def up(self, bot: Bot) -> int:
        """Wait until a started bot trades; return the number it says it begins under, after all checks."""
        line = bot.wait_for("PROFILE_IN_FORCE")
        bot.wait_for("trading is allowed")
        self.until(lambda: standing(self.home) == "answers")
        found = re.search(r"generation (\d+) (begins|goes on)", line)
        assert found is not None, line
        number = int(found[1])
        self.check(number)
        return number

    # -- what is asked --------------------------------------------------------------------------

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Return what the running bot answers."""
        return client.ask(self.home, "test", question)

    def status(self) -> StatusView:
        """Return the running bot's status."""
        return self.ask(lambda bot: bot.status())

    @contextmanager
    def history(self) -> Iterator[History]:
        """Read the history."""
        found = History.read_only(self.home / "profiles.sqlite")
        assert found is not None
        try:
            yield found
        finally:
            found.close()

    def in_force(self) -> Generation:
        """Return the generation in force as the history has it."""
        with self.history() as history:
            found = history.in_force()
        assert found is not None
        return found

    def reload(self, *, confirm: bool = False) -> str:
        """Let the files be read; return what became of them."""
        return self.ask(lambda bot: bot.reload(confirm=confirm)).outcome

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that tells nobody when it comes."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"not within {PATIENCE_S:g} s"
            time.sleep(0.01)

    def settled(self) -> None:
        """Wait until the bot has judged what is in force: good, or on probation."""
        self.until(lambda: self.in_force().state == "good" or self.status().profile.probation is not None)

    # -- dying ----------------------------------------------------------------------------------

    def arm(self, step: str) -> None:
        """Let the running bot note its steps from here on, and die at `step`, "" for at none."""
        (self.folder / "die_at").write_text(step)
        (self.folder / "steps").touch()

    def disarm(self) -> list[str]:
        """Let no step be noted any more; return those that were."""
        steps = (self.folder / "steps").read_text().splitlines()
        (self.folder / "steps").unlink()
        return steps

    def forget_steps(self) -> None:
        """Let no step be noted any more, whether one was or not."""
        (self.folder / "steps").unlink(missing_ok=True)

    # -- what must hold -------------------------------------------------------------------------

    def check(self, number: int) -> Generation:
        """Assert that the bot runs on one valid generation, the newest of all, which every view and store names."""
        with self.history() as history:
            found, switches, everything = history.in_force(), history.switches(), history.generations(EVERY)
            assert history.restoring() is None
            assert history.unfinished() == ()
            assert found is not None
            assert history.verdict(found.digest) is None
        assert found.number == number
        assert found.state in {"applied", "good"}
        loaded = load_profile(found.path, self.env, switches=toggles(found.switches), stored=stored(found))
        assert effective(loaded) == found.effective
        assert found.switches == switches
        profile = self.status().profile
        assert (profile.generation, profile.digest) == (found.number, found.digest)
        assert {one.feature: one.on for one in profile.overrides} == toggles(switches)
        self.until(lambda: self._shows_disk(found))
        for one in everything:
            holds = (one.digest, one.switches, one.cause, one.previous, one.at_ms)
            assert self.numbers.setdefault(one.number, holds) == holds, f"number {one.number} is used twice"
        assert number == max(one.number for one in everything if one.state not in {"failed", "preparing"})
        assert not list(self.folder.glob(".*.restore")), "nothing half-written is left beside the files"
        return found

    def _shows_disk(self, found: Generation) -> bool:
        """Whether the status says of the files what is true: in force, waiting, or not what is in force."""
        profile = self.status().profile
        other = tuple(one.source for one in found.files[-2:]) != self.texts()
        return other == (profile.pinned or profile.pending is not None)

    def check_orders(self) -> None:
        """Assert that each order was planned under the generation in force and carries it to its end."""
        with self.history() as history:
            known = {one.number for one in history.generations(EVERY)}
        current, of = 0, dict[str, int]()
        for _, _, fact in read_facts(self.home / "journal.sqlite"):
            if isinstance(fact, ProfileTaken):
                current = fact.generation
            client_id = getattr(fact, "client_id", "")
            if isinstance(fact, OrderPlanned):
                assert fact.generation == current
                of[client_id] = current
            elif client_id in of:
                assert getattr(fact, "generation", of[client_id]) == of[client_id]
        assert of, "it has traded"
        assert set(of.values()) <= known


def put(path: Path, source: bytes) -> None:
    """Replace a file by one that holds `source`."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(source)
    os.replace(beside, path)
