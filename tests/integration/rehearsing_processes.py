"""How do a bot and an exchange run as processes that are measured, killed and started again? Asked by `rehearsing`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from msgspec import Struct, field

from tests.integration.processes import PATIENCE_S, ROOT

SAMPLE_S: Final = 1.0
RESTART_S: Final = 2.0
"""So long a supervisor waits before it starts a bot again whose start failed (systemd's RestartSec)."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class Sample(Struct, frozen=True):
    """What a process held at a moment: `at_s` since its start, memory in KB, processor time in s."""

    at_s: float
    rss_kb: int
    cpu_s: float
    fds: int
    threads: int


class Life(Struct):
    """One process from its start to its end; `code` is None while it runs."""

    process: subprocess.Popen[str]
    began_s: float
    output: Path
    samples: list[Sample] = field(default_factory=list)
    code: int | None = None

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return self.output.read_text(errors="replace")

    @property
    def never_began(self) -> bool:
        """Whether it ended since its start failed, as it does where the exchange cannot be reached."""
        return "START_FAILED" in self.text

    def sample(self) -> None:
        """Note what the process holds now; nothing where it is gone."""
        pid = self.process.pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            fds = len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, ValueError):
            return
        self.samples.append(
            Sample(
                at_s=time.monotonic() - self.began_s,
                rss_kb=int(stat[21]) * _PAGE_KB,
                cpu_s=(int(stat[11]) + int(stat[12])) / _TICKS,
                fds=fds,
                threads=int(stat[17]),
            )
        )


class Party:
    """A program that is started, killed and started again in one folder; `lives` are its processes in order."""

    def __init__(self, name: str, folder: Path, words: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.folder = folder
        self.words = list(words)
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
        self.lives: list[Life] = []
        self._again_s = 0.0

    def start(self) -> Life:
        """Start a process of it."""
        output = self.folder / f"{self.name}-{len(self.lives) + 1}.out"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-W", "always::ResourceWarning", "-m", "tradebot.cli.main", *self.words],
                cwd=self.folder,
                env=self.env,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        life = Life(process, time.monotonic(), output)
        self.lives.append(life)
        return life

    @property
    def life(self) -> Life:
        """The process that runs, or ran last."""
        return self.lives[-1]

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return bool(self.lives) and self.life.process.poll() is None

    def kill(self) -> None:
        """End it at whatever instruction it is."""
        self.life.process.kill()
        self.life.code = self.life.process.wait(PATIENCE_S)

    def supervise(self) -> None:
        """Start it again where its start failed, after the pause of a supervisor; an end of its own stays one."""
        life = self.life
        if not self.running and life.code is None:
            life.code = life.process.wait(PATIENCE_S)
            self._again_s = time.monotonic() + RESTART_S
        if life.code is not None and life.never_began and time.monotonic() >= self._again_s:
            self.start()

    def end(self, patience_s: float = PATIENCE_S) -> int:
        """End it as a supervisor does (SIGTERM); return its exit code."""
        if self.running:
            self.life.process.send_signal(signal.SIGTERM)
        self.life.code = self.life.process.wait(patience_s)
        return self.life.code

    def away(self) -> None:
        """Leave no process of it behind."""
        for life in self.lives:
            if life.process.poll() is None:
                life.process.kill()
                life.process.wait(PATIENCE_S)

    def wait_for(self, text: str) -> str:
        """Return the first line of its output that holds `text`. Raises AssertionError where it does not come."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = [line for line in self.life.text.splitlines() if text in line]
            if found:
                return found[0]
            if not self.running:
                break
            time.sleep(0.02)  # another process's file tells nobody that it grows
        raise AssertionError(f"{self.name} says no {text!r}:\n{self.life.text[-3000:]}")


class Exchange(Party):
    """A sandbox exchange that keeps its accounts and its port over a kill."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        state = folder / "exchange"
        super().__init__("exchange", folder, ["sandbox", "--state", str(state), "--history", "5", *words])
        self.url = ""

    def start(self) -> Life:
        """Start it; return when it listens."""
        port = self.url.rpartition(":")[2] or "0"
        words, self.words = self.words, [*self.words, "--port", port]
        life = super().start()
        self.words = words
        found = re.search(r"REST (http://127\.0\.0\.1:\d+)", self.wait_for("REST "))
        assert found, life.text
        self.url = found[1]
        return life


class Sampler:
    """Notes every second what the running processes hold, until it is left."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self._parties = parties
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            for party in self._parties:
                if party.running:
                    party.life.sample()
