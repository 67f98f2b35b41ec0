"""Does a bot that trades, fails, is edited, asked and ended leave a key in any byte? The real one, on a sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import PATIENCE_S, ROOT
from tests.integration.rehearsing_processes import Party
from tests.secrets.planting import ENVIRON, KEY, PASSWORD, SECRET, echo, found_below, found_in

PROFILE = """
[bot]
instance = "planted"
[venue]
kind = "ccxt"
[feed]
kind = "ccxt"
[exchange]
base_url = "{url}"
request_timeout_s = 2
poll_interval_s = 1
recv_window_ms = 2000
not_found_after_s = 2
keep_alive_s = 5
[drop]
anchor = {{ kind = "rolling_high", window_s = 20, window_buckets = 20, warmup_s = 2 }}
threshold_bps = 5
cooldown_s = 1
debounce_s = 0
[execution]
max_spread_bps = 50
max_slippage_bps = 80
query_interval_ms = 300
query_max_interval_ms = 2000
[exits]
max_hold_s = 3
[state]
persist_interval_s = 0.5
[metrics]
export_interval_s = 0.5
[reload]
settle_ms = 10
[market]
stale_after_s = 10
"""

FAULTS: list[dict[str, Any]] = [
    {"on": "order.place", "action": "status", "status": 400, "code": -1022, "times": 2},
    {"on": "order.place", "action": "status", "status": 500, "code": -1000, "times": 1, "stage": "after"},
    {"on": "order.place", "action": "html", "times": 1},
    {"on": "order.place", "action": "truncate", "times": 1, "stage": "after"},
    {"on": "order.place", "action": "reset", "times": 1},
    {"on": "order.status", "action": "status", "status": 401, "code": -2015, "times": 1},
    {"on": "account.status", "action": "status", "status": 418, "code": -1003, "times": 1},
]


def steer(url: str, path: str, said: Any) -> None:
    """Use a control path of the sandbox."""
    request = urllib.request.Request(f"{url}/sandbox{path}", json.dumps(said).encode(), method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def clean() -> dict[str, str]:
    """Return an environment of a test without another's keys."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRADEBOT")}


def ask(folder: Path, *words: str, code: int | None = None) -> str:
    """Return all that a command prints in `folder`, with the keys in its environment; it ends with `code`."""
    asked = subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", *words],
        cwd=folder,
        env={**clean(), "PYTHONPATH": str(ROOT), **ENVIRON},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )
    assert "Traceback" not in asked.stderr, asked.stderr
    assert code is None or asked.returncode == code, asked.stderr
    return asked.stdout + asked.stderr


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[tuple[Party, str, Path]]:
    """Run a sandbox exchange whose account has the planted keys; yield it, its address and its folder."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    keys = folder / "keys"
    keys.write_text(f"{KEY}\n{SECRET}\n")
    keys.chmod(0o600)
    words = ["sandbox", "--port", "0", "--count", "6", "--history", "2", "--key-file", str(keys)]
    party = Party("exchange", folder, [*words, "--state", str(folder / "state")])
    party.start()
    try:
        url = party.wait_for("REST ").partition("REST ")[2].partition(",")[0]
        yield party, url, folder
        assert party.end() == 0
    finally:
        party.away()
    kept = [found for told in found_below(folder, but=[keys]).values() for found in told]
    assert [found for found in kept if not found.startswith("key: ")] == []  # it knows its accounts by their keys


def until(condition: Any, what: str) -> None:
    """Wait for another process, which tells nobody."""
    end = time.monotonic() + PATIENCE_S * 2
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_no_byte_that_a_bot_leaves_holds_a_key(tmp_path: Path, exchange: tuple[Party, str, Path]) -> None:
    _, url, _ = exchange
    folder = tmp_path / "bot"
    folder.mkdir()
    profile = folder / "p.toml"
    profile.write_text(PROFILE.format(url=url))
    bot = Party("bot", folder, ["--profile", "p.toml", "--headless"], ENVIRON)
    bot.start()
    told: dict[str, str] = {}
    try:
        bot.wait_for("RECOVERY_COMPLETED")
        process = Path(f"/proc/{bot.life.process.pid}")
        shown = b"".join((process / name).read_bytes() for name in ("cmdline", "comm", "status", "maps"))
        assert found_in(shown) == []
        children = process / "task" / str(bot.life.process.pid) / "children"
        assert not children.exists() or children.read_text() == ""  # nobody inherits the keys
        for fault in FAULTS:
            said = {"message": echo()} if fault["action"] == "status" else {}
            steer(url, "/faults", {**fault, **said})
        logs = folder / "latest_session" / "logs"
        until(lambda: any("ORDER_FILLED" in path.read_text() for path in logs.glob("*.jsonl")), "nothing was filled")
        steer(url, "/sockets", {"action": "disconnect"})
        good = profile.read_text()
        for mistake in (f'[credentials]\nsecret = "{SECRET}"\n', f'[exchange]\nname = "{KEY}"\n', f"x = {KEY}\n"):
            profile.write_text(good + mistake)
            told[f"reload {mistake[:16]}"] = ask(folder, "reload", "--profile", "p.toml")
        profile.write_text(good)
        for words in (("status",), ("status", "--json"), ("profile", "history"), ("pause",), ("resume",)):
            told[" ".join(words)] = ask(folder, *words, code=0)
        told["doctor"] = ask(folder, "doctor", "--profile", "p.toml", "--json", "--listen", "1")
        bot.life.process.send_signal(signal.SIGTERM)
        bot.end(PATIENCE_S * 2)
    finally:
        bot.away()
    asked: tuple[tuple[str, ...], ...] = (
        ("profile", "show", "p.toml"),
        ("profile", "history"),
        ("journal", "--home", "state/planted"),
        ("support", "--profile", "p.toml", "--list"),
        ("report", "latest_session"),
        ("report", "latest_session", "--json"),
        ("validate", "p.toml"),
    )
    for typed in asked:
        told[" ".join(typed)] = ask(folder, *typed, code=0)
    assert {what: found for what, text in told.items() if (found := found_in(text))} == {}
    assert found_below(folder) == {}
    records = "".join(path.read_text() for path in logs.glob("*.jsonl"))
    assert "***" in records  # what the exchange said was told, without the keys
    assert "-1022" in records
    assert PASSWORD not in records


@pytest.mark.timeout(200)
def test_a_wrong_secret_is_refused_without_being_told(tmp_path: Path, exchange: tuple[Party, str, Path]) -> None:
    _, url, _ = exchange
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "p.toml").write_text(PROFILE.format(url=url))
    for wrong in ({"TRADEBOT_API_SECRET": SECRET[::-1]}, {"TRADEBOT_API_KEY": KEY[::-1]}):
        bot = Party("bot", folder, ["--profile", "p.toml", "--headless"], {**ENVIRON, **wrong})
        bot.start()
        try:
            until(lambda bot=bot: not bot.running, "a start with wrong keys goes on")
        finally:
            bot.away()
        assert bot.life.process.returncode in {1, 2}
        assert "refuses the key" in bot.life.text or "-2015" in bot.life.text or "-1022" in bot.life.text
        assert found_in(bot.life.text) == []
        assert not any(value in bot.life.text for value in wrong.values())
    assert found_below(folder) == {}
