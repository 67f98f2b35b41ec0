"""How is a bot with a probe run and asked in a test? A process of its own; asked by many edits and their figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self, TypeVar

from tradebot.control.client import Client, ask

ROOT = Path(__file__).resolve().parents[2]
PROBED = Path(__file__).with_name("probed.py")

PATIENCE_S = 40.0
"""Longest wait for what the probe tells: a hang fails the test instead of the suite."""

T = TypeVar("T")


def environment() -> dict[str, str]:
    """Return this process's environment without anything that is laid over a profile."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRADEBOT")}


class Probed:
    """A running bot with a probe. `said` is all that was printed, `taken` when each generation reached the engine."""

    def __init__(self, folder: Path, profile: str = "p.toml", instance: str = "edits") -> None:
        self.folder = folder
        self.home = folder / "state" / instance
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, str(PROBED), str(writing), "--profile", profile, "--headless"],
            cwd=folder,
            env={**environment(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            text=True,
        )
        os.close(writing)
        self.said: list[str] = []
        self.taken: dict[int, int] = {}
        self.effective: dict[int, str] = {}
        self.end: dict[str, Any] = {}
        self._outcomes: Queue[dict[str, Any] | None] = Queue()
        self.trading = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_said, daemon=True),
            threading.Thread(target=self._read_probe, args=(reading,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read_said(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if "POSITION_OPENED" in line:
                self.trading.set()
        self.trading.set()  # it ended: nobody waits in vain

    def _read_probe(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as pipe:
            for line in pipe:
                record = json.loads(line)
                match record["what"]:
                    case "taken":
                        self.taken[record["generation"]] = record["at_ns"]
                    case "effective":
                        self.effective[record["generation"]] = record["digest"]
                    case "end":
                        self.end = record
                    case _:
                        self._outcomes.put(record)
        self._outcomes.put(None)

    def wait_until_it_trades(self) -> None:
        """Return once a position was opened."""
        assert self.trading.wait(PATIENCE_S), self.text()
        assert any("POSITION_OPENED" in line for line in self.said), self.text()

    def outcome(self) -> dict[str, Any]:
        """Return the next outcome that the bot told."""
        try:
            record = self._outcomes.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"no outcome in {PATIENCE_S:g} s; said last:\n" + self.text(20)) from None
        assert record is not None, "the bot ended:\n" + self.text(40)
        return record

    def outcomes_so_far(self) -> list[dict[str, Any]]:
        """Return the outcomes told since the last one that was taken."""
        found = []
        while not self._outcomes.empty():
            record = self._outcomes.get_nowait()
            assert record is not None, "the bot ended:\n" + self.text(40)
            found.append(record)
        return found

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Ask at the control door."""
        return ask(self.home, "tests", question)

    def finish(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return code

    def text(self, lines: int = 0) -> str:
        """Return the last so many lines printed, all by default."""
        return "\n".join(self.said[-lines:])

    def held(self) -> dict[str, int]:
        """Return what the process holds now: `rss_kb`, `threads`, `files` (open descriptors)."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return {
            "rss_kb": int(status["VmRSS"].split()[0]),
            "threads": int(status["Threads"]),
            "files": len(os.listdir(proc / "fd")),
        }
