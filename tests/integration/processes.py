"""How is the real bot run in a test? A process of its own, its lines read as they come, never waited for by time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
FAULTY = Path(__file__).with_name("faulty.py")

CARELESS = ("ResourceWarning", "was never retrieved", "was never awaited", "Task was destroyed", "Traceback")
"""What the interpreter says of a program that leaves things behind."""

PATIENCE_S = 40.0
"""Longest wait for a line or an end: a hang fails the test instead of the suite."""

SOCKETS = shutil.ignore_patterns("*.sock")
"""For copies of a home: a killed bot leaves the socket of its door, which cannot be copied."""

QUICK = f"""
extends = "{ROOT}/profiles/demo.toml"
[feed.synthetic]
symbols = 8
updates_per_s = 20
volatility_bps = 12
[drop]
threshold_bps = 5
cooldown_s = 0
[drop.anchor]
window_s = 10
window_buckets = 10
warmup_s = 1
[exits]
take_profit_bps = 30
stop_loss_bps = 30
max_hold_s = 2
trailing = "off"
[state]
persist_interval_s = 0.2
[metrics]
export_interval_s = 0.2
[market]
health_check_interval_s = 0.2
"""
"""A profile that trades within two seconds of its start."""


def write_profile(folder: Path, text: str = "", name: str = "quick.toml") -> Path:
    """Write the quick profile with `text` behind it; return its path."""
    path = folder / name
    path.write_text(QUICK + text)
    return path


class Bot:
    """A running bot. `lines` are all lines of stdout and stderr so far."""

    def __init__(self, folder: Path, *arguments: str, fault: str = "", env: dict[str, str] | None = None) -> None:
        program = [str(FAULTY), fault] if fault else ["-m", "tradebot.cli.main"]
        words = arguments if "--profile" in arguments else ("--profile", "quick.toml", *arguments)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", *program, *words, "--headless"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._fresh: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._fresh.put(line.rstrip("\n"))
        self._fresh.put(None)

    def wait_for(self, *texts: str, times: int = 1) -> str:
        """Return the line in which one of `texts` stands for the `times`-th time from here on."""
        while True:
            try:
                line = self._fresh.get(timeout=PATIENCE_S)
            except Empty:
                raise AssertionError(f"no line with {texts} in {PATIENCE_S:g} s:\n" + "\n".join(self.lines)) from None
            if line is None:
                raise AssertionError(f"the bot ended without a line with {texts}:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if any(text in line for text in texts):
                times -= 1
                if not times:
                    return line

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        while (line := self._fresh.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        for sign in CARELESS:
            assert sign not in self.text, self.text
        return code

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)


def records(folder: Path, stream: str = "") -> list[dict[str, Any]]:
    """Return the log records of the newest session in `folder`, in order of time."""
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "latest_session" / "logs").glob(f"{stream}*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(found, key=lambda record: str(record["time"]))


def kinds(folder: Path, stream: str = "") -> list[str]:
    """Return the event types of the newest session."""
    return [str(record["event_type"]) for record in records(folder, stream)]


def session(folder: Path) -> dict[str, Any]:
    """Return session.json of the newest session."""
    found: dict[str, Any] = json.loads((folder / "latest_session" / "session.json").read_text())
    return found


def state(folder: Path) -> dict[str, Any]:
    """Return the session's copy of the checkpoint."""
    found: dict[str, Any] = json.loads((folder / "latest_session" / "state" / "engine_transient.json").read_text())
    return found
