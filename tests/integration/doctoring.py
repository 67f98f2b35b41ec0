"""How is `tradebot doctor` asked in a test? In a folder of its own, against a sandbox exchange of another process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import PATIENCE_S, ROOT
from tradebot.cli.main import main

KEYS = {"TRADEBOT_API_KEY": "test-key", "TRADEBOT_API_SECRET": "test-secret"}
BOUND = {"ipRestrict": True, "enableWithdrawals": False, "permitsUniversalTransfer": False}

PROFILE = """
[bot]
instance = "doc"
[venue]
kind = "{venue}"
[venue.paper]
min_notional = 0
[feed]
kind = "ccxt"
[exchange]
base_url = "{url}"
request_timeout_s = 2
[execution]
send_deadline_ms = 60_000
wait_ms = {{ IOC = 60_000, GTC = 60_000, other = 60_000 }}
[intents]
max_age_s = 200
[market]
symbols = ["SYN001/USDT", "SYN002/USDT"]
stale_after_s = 20
"""


# an order may wait long there: how fast a busy machine's disk is, is not what these tests are about


class Rehearsal:
    """A sandbox exchange in a process of its own."""

    def __init__(self) -> None:
        words = ["sandbox", "--port", "0", "--count", "4", "--history", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tradebot.cli.main", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"REST (http://127\.0\.0\.1:\d+)", line)
        assert found, line
        self.url = found[1]

    def steer(self, path: str, said: dict[str, Any] | None, method: str = "POST") -> None:
        """Use a control path."""
        body = None if said is None else json.dumps(said).encode()
        request = urllib.request.Request(f"{self.url}/sandbox{path}", body, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            assert answer.status == 200

    def permit(self, **flags: bool) -> None:
        """Change what the key is told to be allowed."""
        self.steer("/key", {"key": "test-key", "flags": flags})

    def calm(self) -> None:
        """Put everything right again."""
        self.steer("/freeze", None, "DELETE")
        self.steer("/clock", {"skew_ms": 0})
        self.steer("/market/resume", {"symbol": "SYN001USDT"})
        self.permit(**BOUND)

    def end(self) -> None:
        """End it as an operator does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE_S) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


class Told:
    """What `tradebot doctor --json` said."""

    def __init__(self, code: int, document: dict[str, Any], text: str) -> None:
        self.code = code
        self.document = document
        self.text = text

    def verdicts(self, but: str = "ok") -> dict[str, str]:
        """Return the verdicts that are not `but`, by "group check"."""
        rows = self.document["checks"]
        return {f"{row['group']} {row['check']}": row["verdict"] for row in rows if row["verdict"] != but}

    def row(self, name: str) -> dict[str, Any]:
        """Return what one check said first."""
        found: dict[str, Any] = next(row for row in self.document["checks"] if f"{row['group']} {row['check']}" == name)
        return found


class Doctor:
    """Asks `tradebot doctor` in a folder of its own."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.url = url
        self._capsys = capsys

    def write(self, more: str = "", venue: str = "ccxt", url: str | None = None) -> Path:
        """Write the profile with `more` behind it."""
        path = self.folder / "p.toml"
        path.write_text(PROFILE.format(venue=venue, url=self.url if url is None else url) + more)
        return path

    def ask(self, *words: str) -> Told:
        """Return what it says of the profile."""
        self._capsys.readouterr()
        code = main(["doctor", "--profile", "p.toml", "--json", *words])
        text = self._capsys.readouterr().out
        return Told(code, json.loads(text), text)
