"""Does the paper account survive exactly as the venue had it, after every answer and every crash?"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tradebot.domain.account import AccountDelta, AccountImage, AccountOrder, AccountOrderStatus
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import FillReported
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.storage.account import AccountStore


def open_store(path: Path, orders_kept: int = 1000) -> AccountStore:
    return AccountStore(path, orders_kept=orders_kept, busy_s=0.05)


def order(number: int, status: AccountOrderStatus = "open") -> AccountOrder:
    return AccountOrder(
        client_id=f"bot-1-{number}",
        venue_id=f"P{number}",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        arrives_ms=number,
        price=Decimal("64000.10"),
        amount=Decimal("0.010"),
        status=status,
        locked=Decimal("640.001"),
    )


def fill(number: int, trade: int = 1) -> FillReported:
    return FillReported(
        client_id=f"bot-1-{number}",
        symbol="BTC/USDT",
        trade_id=f"T{number}-{trade}",
        price=Decimal("64000.10"),
        amount=Decimal("0.004"),
        fee=Decimal("0.000004"),
        fee_asset="BTC",
        maker=True,
        at_ms=number,
    )


def delta(*orders: AccountOrder, fills: tuple[FillReported, ...] = (), next_order: int = 1) -> AccountDelta:
    return AccountDelta(orders={one.client_id: one for one in orders}, fills=list(fills), next_order=next_order)


def test_a_new_account_is_none_and_a_saved_one_comes_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    store = open_store(path)
    assert store.load() is None
    balances = {"USDT": Balance(free=Decimal("9359.9990"), locked=Decimal("640.001")), "BTC": Balance(free=Decimal(0))}
    store.save(
        AccountDelta(
            balances=balances,
            orders={"bot-1-1": order(1)},
            fills=[fill(1), fill(1, trade=2)],
            next_order=2,
            next_trade=3,
            requests=4,
        )
    )
    store.close()
    store.close()
    reopened = open_store(path)
    image = reopened.load()
    reopened.close()
    assert image == AccountImage(
        balances=balances,
        orders={"bot-1-1": order(1)},
        fills=[fill(1), fill(1, trade=2)],
        next_order=2,
        next_trade=3,
        requests=4,
    )
    assert list(image.balances) == ["USDT", "BTC"]
    assert str(image.balances["USDT"].free) == "9359.9990"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_delta_replaces_values_and_keeps_the_order_in_which_orders_came(tmp_path: Path) -> None:
    store = open_store(tmp_path / "account.sqlite")
    store.save(delta(order(3), order(1), order(2)))
    store.save(AccountDelta(balances={"USDT": Balance(free=Decimal(1))}, orders={"bot-1-3": order(3, "filled")}))
    store.save(AccountDelta(balances={"USDT": Balance(free=Decimal(2))}))
    image = store.load()
    store.close()
    assert image is not None
    assert list(image.orders) == ["bot-1-3", "bot-1-1", "bot-1-2"]
    assert image.orders["bot-1-3"].status == "filled"
    assert image.balances == {"USDT": Balance(free=Decimal(2))}


def test_every_open_order_and_the_latest_finished_ones_are_loaded_and_all_stay_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    store = open_store(path, orders_kept=2)
    store.save(delta(order(1), order(2), order(3), fills=(fill(1), fill(2))))
    for number in (4, 5, 6):
        store.save(delta(order(number, "filled"), fills=(fill(number),)))
    store.save(delta(order(1, "canceled")))  # old, but the last to change
    image = store.load()
    store.close()
    assert image is not None
    assert list(image.orders) == ["bot-1-1", "bot-1-2", "bot-1-3", "bot-1-6"]
    assert [one.client_id for one in image.fills] == ["bot-1-1", "bot-1-2", "bot-1-6"]
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM orders").fetchone() == (6,)
    assert database.execute("SELECT count(*) FROM fills").fetchone() == (5,)
    database.close()


def test_a_save_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    store = open_store(path)
    store.save(delta(order(1), next_order=2))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match=r"account\.sqlite: the paper account cannot be written .*locked"):
        store.save(delta(order(2), next_order=3))
    other.execute("ROLLBACK")
    other.close()
    image = store.load()
    assert image is not None
    assert (list(image.orders), image.next_order) == (["bot-1-1"], 2)
    store.save(delta(order(2), next_order=3))
    store.close()


CHILD = """
import sys
from decimal import Decimal
from pathlib import Path
from tradebot.domain.account import AccountDelta
from tradebot.domain.orders import Balance
from tradebot.storage.account import AccountStore
store = AccountStore(Path(sys.argv[1]), orders_kept=10, busy_s=1)
number = 0
while True:
    number += 1
    store.save(AccountDelta(balances={"USDT": Balance(free=Decimal(number)), "BTC": Balance(free=Decimal(-number))},
                            next_order=number))
    print(number, flush=True)
"""


def test_kill_nine_while_saving_leaves_a_whole_account_not_older_than_what_was_reported(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 2000:
            break
    child.kill()
    rest = child.stdout.read().split("\n")[:-1]
    child.stdout.close()
    child.wait(20)
    reported = int(rest[-1]) if rest else 2000
    store = open_store(path)
    image = store.load()
    store.close()
    assert image is not None
    assert image.next_order >= reported
    assert image.balances["USDT"].free == -image.balances["BTC"].free == image.next_order


def test_a_fresh_account_sets_the_old_one_aside(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    store = open_store(path)
    store.save(delta(order(1)))
    store.close()
    aside = AccountStore.reset(path, 1_795_364_703_123)
    assert aside == tmp_path / "account.sqlite.20261122T162503Z"
    fresh = open_store(path)
    assert fresh.load() is None
    fresh.close()
    old = open_store(aside)
    image = old.load()
    old.close()
    assert image is not None
    assert list(image.orders) == ["bot-1-1"]
    assert AccountStore.reset(tmp_path / "none.sqlite", 1) is None


def test_a_damaged_account_is_refused_left_alone_and_can_be_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    path.write_bytes(b"no account at all" * 100)
    with pytest.raises(StorageFailed, match=r"account\.sqlite: not a paper account"):
        open_store(path)
    aside = AccountStore.reset(path, 1)
    assert aside is not None
    assert aside.read_bytes() == b"no account at all" * 100
    open_store(path).close()


def test_a_newer_account_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    open_store(path).close()
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '2'")
    database.commit()
    database.close()
    with pytest.raises(StorageFailed, match="schema 2, this version reads schema 1"):
        open_store(path)


def test_a_balance_that_is_no_number_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    store = open_store(path)
    store.save(AccountDelta(balances={"USDT": Balance(Decimal(5), Decimal("NaN"))}))
    with pytest.raises(StorageFailed, match="account is damaged"):
        store.load()
    store.close()
