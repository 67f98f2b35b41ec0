"""Does `tradebot recover` tell and mend what an exchange alone can prove? The real bot at the real sandbox, killed."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import pytest

from tests.integration.comparing import BEGUN, compare
from tests.integration.comparing_pictures import Account
from tests.integration.hands import by_hand, filters, held_there
from tests.integration.processes import SOCKETS, Bot
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_recover import all_gone, changed_fact, gone, held, not_a_journal, recover, tree, truncated
from tests.integration.test_rehearsal import at_the_exchange

HOME = Path("state") / "away"
COUNT = ["--count", "8"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an exchange that has ended, and of a bot that held positions there when it was killed."""
    folder = tmp_path_factory.mktemp("lived")
    served = Exchange(folder, COUNT)
    try:
        served.start()
        at_the_exchange(folder, served.url)
        profile = folder / "quick.toml"
        quick = f'base_url = "{served.url}"\nrecv_window_ms = 2000\nnot_found_after_s = 1\n'
        profile.write_text(profile.read_text().replace(f'base_url = "{served.url}"\n', quick))
        with Bot(folder, env=KEYS) as bot:
            bot.wait_for("POSITION_CLOSED")
            bot.wait_for("POSITION_OPENED")
            bot.send(signal.SIGKILL)
            bot.end()
        assert served.end() == 0
    finally:
        served.away()
    return folder


@pytest.fixture
def exchange(tmp_path: Path, lived: Path) -> Iterator[Exchange]:
    """Serve that exchange again, in a process of its own, from a copy of what it kept."""
    copytree(lived, tmp_path, symlinks=True, ignore=SOCKETS, dirs_exist_ok=True)
    served = Exchange(tmp_path, COUNT)
    try:
        served.start()
        yield served
        assert served.end() == 0
    finally:
        served.away()


@pytest.fixture
def killed(tmp_path: Path, exchange: Exchange) -> Path:
    """Return a copy of the killed bot's folder, whose profile names the exchange that is served."""
    profile = tmp_path / "quick.toml"
    profile.write_text(re.sub(r'base_url = ".*"', f'base_url = "{exchange.url}"', profile.read_text()))
    demo = tmp_path / "state" / "demo"
    demo.symlink_to("away")  # the damage of the other tests is done to a bot of this name
    return tmp_path


@pytest.mark.timeout(180)
def test_a_dry_run_compares_with_the_exchange_and_neither_side_changes(killed: Path) -> None:
    before = tree(killed / HOME)
    told = json.loads(recover(killed, "--dry-run", "--json", env=KEYS).stdout)
    assert tree(killed / HOME) == before
    assert told["venue"] == "binance"
    assert told["damage"] == []
    assert told["compared"]["strangers"] == []
    kinds = [fact["type"] for fact in told["compared"]["facts"]]
    assert kinds[:2] == ["RUN_OPENED", "RECOVERY_PLANNED"]
    offline = json.loads(recover(killed, "--dry-run", "--offline", "--json", env=KEYS).stdout)
    assert offline["compared"] is None
    assert [offline["plan"][key] for key in ("orders", "positions")] == [
        told["plan"][key] for key in ("orders", "positions")
    ]


@pytest.mark.timeout(180)
def test_a_dry_run_of_a_damaged_journal_plans_with_what_the_exchange_proves(killed: Path) -> None:
    changed_fact(killed)
    (killed / HOME / "checkpoint.json").unlink(missing_ok=True)
    before = tree(killed / HOME)
    found = recover(killed, "--dry-run", "--json", env=KEYS)
    assert found.returncode == 5, found.stderr
    told = json.loads(found.stdout)
    assert tree(killed / HOME) == before
    assert all(words.startswith(f"{HOME}/journal.sqlite: ") for words in told["damage"])
    assert (told["start"]["rebuilds"], told["start"]["refused"]) == (True, ""), found.stdout
    assert told["start"]["fills"] > 0
    assert told["compared"]["drift"] == []


def agreed(killed: Path, exchange: Exchange) -> None:
    """Compare bot and exchange, both of which stand still."""
    there = Account(exchange.url).picture()
    assert not there.open_ids
    ledger, _ = held(killed, HOME.name)
    for asset, amount in ledger.items():
        if asset not in ("USDT", "BNB"):
            found = there.balances[asset].total - BEGUN.get(asset, Decimal(0))
            assert Decimal(amount) == found, f"{asset}: the ledger has {amount}, the exchange {found}"


def trades_on(killed: Path, *said: str) -> None:
    """Start the bot, see it say things and trade, and end it."""
    with Bot(killed, env=KEYS) as bot:
        for each in (*said, "RECOVERY_COMPLETED", "POSITION_CLOSED"):
            bot.wait_for(each)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text


def asks_first(killed: Path) -> None:
    profile = killed / "quick.toml"
    profile.write_text(profile.read_text() + '[journal]\nrebuild = "ask"\n')


@pytest.mark.timeout(240)
@pytest.mark.parametrize("damage", [changed_fact, truncated, gone])
def test_where_it_is_to_be_asked_a_damaged_journal_is_rebuilt_by_command(
    killed: Path, exchange: Exchange, damage: object
) -> None:
    assert callable(damage)
    asks_first(killed)
    damage(killed)
    (killed / HOME / "checkpoint.json").unlink(missing_ok=True)
    with Bot(killed, env=KEYS) as bot:
        assert bot.end() == 5, bot.text
    assert "tradebot recover --rebuild" in bot.text
    done = recover(killed, "--rebuild", env=KEYS)
    assert done.returncode == 0, done.stderr
    trades_on(killed)
    agreed(killed, exchange)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("damage", [changed_fact, truncated, not_a_journal, gone])
def test_a_start_rebuilds_what_the_exchange_proves_and_both_agree_to_the_last_unit(
    killed: Path, exchange: Exchange, damage: object
) -> None:
    assert callable(damage)
    damage(killed)
    if damage is changed_fact:
        (killed / HOME / "checkpoint.json").unlink(missing_ok=True)
    trades_on(killed, "STATE_DAMAGED", "STATE_REBUILT")
    agreed(killed, exchange)
    if damage is changed_fact:  # the new journal then tells all of the bot's life
        assert not (found := compare(killed / HOME, Account(exchange.url))), str(found)
    with Bot(killed, env=KEYS) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert "STATE_REBUILT" not in bot.text
    agreed(killed, exchange)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("client_id", ["away-zzzzzzzz-1", "away-{run}-0"])
def test_an_order_under_its_name_that_the_sound_facts_speak_against_is_not_made_its_own(
    killed: Path, exchange: Exchange, client_id: str
) -> None:
    gone(killed)
    document = json.loads((killed / HOME / "checkpoint.json").read_text())
    held_there = {one.replace("/", "") for one in document["state"]["ledger"]["positions"]}
    listed = [one["symbol"] for one in Account(exchange.url).public("exchangeInfo")["symbols"]]
    free = next(one for one in listed if one not in held_there)
    by_hand(
        exchange, "POST", "order", symbol=free, side="BUY", type="MARKET", quoteOrderQty="50",
        newClientOrderId=client_id.format(run=document["state"]["run"]),
    )  # fmt: skip
    before = {name: told for name, told in tree(killed / HOME).items() if name == "checkpoint.json"}
    with Bot(killed, env=KEYS) as bot:
        assert bot.end() == 5, bot.text
    assert "nothing is rebuilt" in bot.text
    assert "STATE_REBUILT" not in bot.text
    assert {name: told for name, told in tree(killed / HOME).items() if name == "checkpoint.json"} == before


@pytest.mark.timeout(240)
def test_a_bot_that_has_lost_everything_never_begins_as_if_it_were_new(killed: Path) -> None:
    all_gone(killed)
    with Bot(killed, env=KEYS) as bot:
        assert bot.end() == 5, bot.text
    assert "an order of this bot, and its home holds nothing" in bot.text
    assert "tradebot recover --rebuild" in bot.text


@pytest.mark.timeout(300)
def test_a_lost_home_of_which_something_was_sold_by_hand_is_rebuilt_by_an_operators_word_alone(
    killed: Path, exchange: Exchange
) -> None:
    there = held_there(exchange)
    held_now = {asset: amount for asset, amount in there.items() if amount and asset not in ("USDT", "BNB")}
    asset = max(held_now, key=lambda one: held_now[one] * Decimal(str(bids(exchange)[f"{one}USDT"])))
    sold = filters(exchange, f"{asset}USDT").amount_down(held_now[asset])
    by_hand(exchange, "POST", "order", symbol=f"{asset}USDT", side="SELL", type="MARKET", quantity=format(sold, "f"))
    all_gone(killed)
    shown = recover(killed, "--dry-run", env=KEYS)
    assert shown.returncode == 5, shown.stderr
    assert "and its home holds nothing" in shown.stdout
    assert "a start is refused" in shown.stdout
    assert "--adopt" in shown.stdout
    refused = recover(killed, "--rebuild", env=KEYS)
    assert refused.returncode == 5
    assert "`tradebot recover --rebuild --adopt` books that" in refused.stderr
    asked = recover(killed, "--rebuild", "--adopt", env=KEYS)
    assert asked.returncode == 1, asked.stdout
    assert f"NOT PROVEN: {sold.normalize():f} {asset}" in asked.stdout
    assert "nobody can be asked here" in asked.stderr
    assert not (killed / HOME / "journal.sqlite").exists()
    done = recover(killed, "--rebuild", "--adopt", "--yes", env=KEYS)
    assert done.returncode == 0, done.stderr
    trades_on(killed)
    agreed(killed, exchange)


def bids(exchange: Exchange) -> dict[str, str]:
    """Return the best bids of all symbols."""
    return {row["symbol"]: row["bidPrice"] for row in Account(exchange.url).public("ticker/bookTicker")}
