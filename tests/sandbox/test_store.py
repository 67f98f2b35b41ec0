"""Does what the sandbox answered survive it, whenever it is killed? A real process, killed for real."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.sandbox.core_kit import KEY, Floor
from tradebot.cli.main import main
from tradebot.domain.errors import ExitCode, StorageFailed
from tradebot.sandbox.signing import signed_query
from tradebot.sandbox.store import Store

QUIET = ("--symbols", "AAA/USDT", "--history", "5", "--balance", "USDT=100000")


ENVIRONMENT: Mapping[str, str] = os.environ


@contextmanager
def sandbox(
    *arguments: str | Path, env: Mapping[str, str] = ENVIRONMENT, told: list[str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `tradebot sandbox` and yield the process with its address; it is killed at the end if it still runs.

    The line it prints is added to `told`.
    """
    command = [sys.executable, "-m", "tradebot.cli.main", "sandbox", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if told is not None:
                told.append(line)
            found = re.search(r"REST (http://127\.0\.0\.1:\d+)", line)
            if found is None:
                raise AssertionError((line, process.communicate(timeout=10)))
            yield process, found.group(1)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


async def ask(url: str, method: str, path: str, session: aiohttp.ClientSession, **params: object) -> object:
    """Send a signed request of the usual key; return what was answered."""
    async with session.request("GET", f"{url}/api/v3/time") as answer:
        now = (await answer.json())["serverTime"]
    query = signed_query("test-secret", {**params, "timestamp": now})
    headers = {"X-MBX-APIKEY": "test-key"}
    async with session.request(method, f"{url}/api/v3/{path}?{query}", headers=headers) as answer:
        return await answer.json()


def asked(url: str, method: str, path: str, **params: object) -> object:
    """Send one signed request."""

    async def once() -> object:
        async with aiohttp.ClientSession() as session:
            return await ask(url, method, path, session, **params)

    return asyncio.run(once())


async def order_until_dead(url: str, process: subprocess.Popen[str], kill_after: int) -> dict[int, str]:
    """Place orders, kill the exchange under them; return the orders it answered, by id, with their state."""
    answered: dict[int, str] = {}
    order = {"symbol": "AAAUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "20"}
    async with aiohttp.ClientSession() as session:
        while True:
            if len(answered) >= kill_after:
                process.kill()
            try:
                told = await ask(url, "POST", "order", session, **order)
            except (aiohttp.ClientError, ConnectionError):
                return answered
            assert isinstance(told, dict)
            if told.get("code") == -2010:
                continue
            answered[told["orderId"]] = told["executedQty"]


def test_every_answered_order_is_there_after_the_exchange_was_killed(tmp_path: Path) -> None:
    answered: dict[int, str] = {}
    for kill_after in (3, 8):
        with sandbox("--state", tmp_path, *QUIET) as (process, url):
            answered |= asyncio.run(order_until_dead(url, process, kill_after))
    with sandbox("--state", tmp_path, *QUIET) as (_, url):
        rows = asked(url, "GET", "allOrders", symbol="AAAUSDT", limit=1000)
        assert isinstance(rows, list)
        stored = {row["orderId"]: row["executedQty"] for row in rows}
        account = asked(url, "GET", "account")
    assert len(answered) >= 11
    assert {order: stored.get(order) for order in answered} == answered
    assert isinstance(account, dict)
    spent = sum(float(row["cummulativeQuoteQty"]) for row in rows)
    held = {each["asset"]: float(each["free"]) for each in account["balances"]}
    assert held["USDT"] == pytest.approx(100_000 - spent)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with sandbox(*QUIET) as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=15) == ExitCode.CLEAN
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_key_file_is_made_for_its_owner_alone_and_its_secret_is_never_said(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with sandbox("--key-file", file, "--port", "0", *QUIET) as (process, url):
        key, secret = file.read_text(encoding="ascii").split()
        assert file.stat().st_mode & 0o777 == 0o600
        refused = asked(url, "GET", "account")
        assert isinstance(refused, dict)
        assert refused["code"] == -2015
        process.send_signal(signal.SIGTERM)
        output = "".join(process.communicate(timeout=15))
    assert key not in output
    assert secret not in output
    file.chmod(0o644)
    assert main(["sandbox", "--key-file", str(file)]) == ExitCode.CRASHED


def test_the_line_it_prints_shows_the_public_key_and_never_one_of_a_file(tmp_path: Path) -> None:
    told: list[str] = []
    keys = {"TRADEBOT_API_KEY": "test-key", "TRADEBOT_API_SECRET": "test-secret"}
    with sandbox(*QUIET, env={**os.environ, **keys}, told=told):
        assert "; key test-key, secret test-secret; " in told.pop()
    file = tmp_path / "keys"
    with sandbox("--key-file", file, *QUIET, env={**os.environ, **keys}, told=told):
        (line,) = told
        assert f"; key and secret in {file}; " in line
        assert not any(text in line for text in file.read_text().split())


def test_a_second_exchange_on_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sandbox("--state", tmp_path, *QUIET):
        assert main(["sandbox", "--state", str(tmp_path), *QUIET]) == ExitCode.CRASHED
    assert "exchange.sqlite: in use by another process" in capsys.readouterr().err


def test_what_is_no_store_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "exchange.sqlite"
    path.write_bytes(b"this is not a database, and long enough to be taken for one" * 10)
    with pytest.raises(StorageFailed, match=r"exchange\.sqlite: not a store of the sandbox exchange"):
        Store(path)


def test_nothing_is_told_that_could_not_be_stored(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "exchange.sqlite")
    floor.book()
    failures: list[StorageFailed] = []
    floor.exchange.on_failure = failures.append
    floor.store._database.execute("PRAGMA query_only=1")
    with pytest.raises(StorageFailed, match="cannot be written"):
        floor.order("BUY", "1", "90")
    assert floor.heard == []
    assert len(failures) == 1
    floor.store.close()
    again = Floor(tmp_path / "exchange.sqlite")
    assert again.exchange.open_orders(KEY) == []


def test_the_stored_file_holds_no_secret_and_is_the_owners_alone(tmp_path: Path) -> None:
    with sandbox("--state", tmp_path, *QUIET) as (process, url):
        asked(url, "POST", "order", symbol="AAAUSDT", side="BUY", type="MARKET", quoteOrderQty="20")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert files
    for path in files:
        assert b"test-secret" not in path.read_bytes()
        assert os.stat(path).st_mode & 0o077 == 0
