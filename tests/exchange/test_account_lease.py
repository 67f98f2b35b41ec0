"""Is a second bot kept off an account, wherever in this machine it is, and let in once the first is gone?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tradebot.config.sections.exchange import Exchange
from tradebot.config.sections.exchange_health import RequestBudget
from tradebot.domain.errors import CannotStart
from tradebot.exchange.account_lease import AccountLease, Holder, LeaseLost, lease_holders, lease_path, take_lease
from tradebot.exchange.credentials import Credentials

KEYS = Credentials("the-public-key-of-this-test", "its-secret")
SINCE_MS = 1_790_000_000_000

HOLD = """
import sys
from tradebot.config.sections.exchange import Exchange
from tradebot.config.sections.exchange_health import RequestBudget
from tradebot.exchange.account_lease import Holder, take_lease
from tradebot.exchange.credentials import Credentials
import os

settings = Exchange(requests=RequestBudget(folder=sys.argv[1]), shared_account="shared" in sys.argv)
me = Holder(os.getpid(), "first", "/home/first", 1790000000000)
lease = take_lease(settings, Credentials(sys.argv[2], "other"), me)
print("ready", flush=True)
sys.stdin.read()
"""


def settings(folder: Path, *, shared: bool = False, name: str = "binance", base_url: str = "") -> Exchange:
    """Return the exchange's settings with the folder that bots share."""
    requests = RequestBudget(folder=str(folder))
    return Exchange(name=name, base_url=base_url, requests=requests, shared_account=shared)


def me(instance: str = "second") -> Holder:
    return Holder(os.getpid(), instance, f"/home/{instance}", SINCE_MS)


def take(place: Exchange, keys: Credentials = KEYS) -> AccountLease:
    return take_lease(place, keys, me())


@contextmanager
def another(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the account."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), KEYS.api_key, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_bot_is_refused_with_who_holds_the_account_and_since_when(tmp_path: Path) -> None:
    with another(tmp_path) as first:
        with pytest.raises(CannotStart) as refused:
            take(settings(tmp_path))
        assert f"process {first.pid}, instance first, home /home/first, since 2026-09-21 14:13:20 UTC" in str(
            refused.value
        )
        assert "exchange.shared_account" in str(refused.value)
        assert [one.pid for one in lease_holders(settings(tmp_path), KEYS)] == [first.pid]


def test_a_killed_bot_leaves_no_lease_behind(tmp_path: Path) -> None:
    with another(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        lease = take(settings(tmp_path))
        assert [one.instance for one in lease_holders(settings(tmp_path), KEYS)] == ["second"]
        lease.close()
        lease.close()
    assert lease_holders(settings(tmp_path), KEYS) == []


@pytest.mark.parametrize(
    ("first", "second"), [([], False), ([], True), (["shared"], False)], ids=["alone", "late to share", "sharing"]
)
def test_an_account_is_shared_only_by_bots_that_all_say_so(tmp_path: Path, first: list[str], second: bool) -> None:
    with another(tmp_path, *first), pytest.raises(CannotStart):
        take(settings(tmp_path, shared=second))


def test_bots_that_share_an_account_trade_side_by_side_and_keep_others_out_to_the_last(tmp_path: Path) -> None:
    with another(tmp_path, "shared") as first:
        second = take(settings(tmp_path, shared=True))
        assert {one.pid for one in lease_holders(settings(tmp_path), KEYS)} == {first.pid, os.getpid()}
        first.kill()
        first.wait()
        with pytest.raises(CannotStart) as refused:
            take(settings(tmp_path))
        assert f"process {os.getpid()}, instance second" in str(refused.value)
        assert f"process {first.pid}" not in str(refused.value)
        second.close()
    take(settings(tmp_path)).close()


def test_other_keys_and_other_exchanges_are_other_accounts(tmp_path: Path) -> None:
    held = [
        take(settings(tmp_path)),
        take(settings(tmp_path), Credentials("another-key", "its-secret")),
        take(settings(tmp_path, name="okx")),
        take(settings(tmp_path, base_url="http://127.0.0.1:1")),
    ]
    assert len(list(tmp_path.iterdir())) == 4
    for lease in held:
        lease.close()


def test_neither_the_key_nor_its_plain_digest_is_in_name_or_content(tmp_path: Path) -> None:
    lease = take(settings(tmp_path))
    (path,) = tmp_path.iterdir()
    assert path == lease_path(settings(tmp_path), KEYS)
    for secret in (KEYS.api_key, KEYS.secret):
        assert secret not in path.name
        assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    lease.close()


def test_a_lease_that_cannot_be_had_refuses_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(CannotStart, match=r"cannot be known .*exchange\.requests\.folder"):
        take(settings(tmp_path))
    tmp_path.chmod(0o700)
    lease_path(settings(tmp_path), KEYS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotStart, match="cannot be known"):
        take(settings(tmp_path))


def test_what_somebody_else_wrote_into_the_file_is_passed_over(tmp_path: Path) -> None:
    with another(tmp_path) as first:
        with lease_path(settings(tmp_path), KEYS).open("ab") as file:
            file.write(b'nonsense\n{"pid":"x"}\n\xff\n')
        assert [one.pid for one in lease_holders(settings(tmp_path), KEYS)] == [first.pid]


def test_a_lease_that_is_held_looks_used(tmp_path: Path) -> None:
    lease = take(settings(tmp_path))
    (path,) = tmp_path.iterdir()
    os.utime(path, (1, 1))
    lease.refresh()
    assert path.stat().st_mtime > 1
    lease.close()
    lease.refresh()


def test_a_lease_whose_file_was_tidied_away_is_taken_again(tmp_path: Path) -> None:
    place = settings(tmp_path / "shared")
    lease = take(place)
    try:
        shutil.rmtree(tmp_path / "shared")
        lease.refresh()
        with pytest.raises(CannotStart, match="instance second"), another_in_process(place):
            pytest.fail("a second bot was let in")
        assert [one.instance for one in lease_holders(place, KEYS)] == ["second"]
    finally:
        lease.close()
    assert lease_holders(place, KEYS) == []


def test_a_lease_that_somebody_took_after_its_file_was_removed_is_told_as_lost(tmp_path: Path) -> None:
    place = settings(tmp_path)
    lease = take(place)
    try:
        lease_path(place, KEYS).unlink()
        with another(tmp_path), pytest.raises(LeaseLost, match="instance first"):
            lease.refresh()
        lease.refresh()  # the other one has gone
        assert [one.instance for one in lease_holders(place, KEYS)] == ["second"]
    finally:
        lease.close()


@contextmanager
def another_in_process(place: Exchange) -> Iterator[None]:
    """Take the account once more, by another descriptor."""
    lease = take(place)
    try:
        yield
    finally:
        lease.close()
