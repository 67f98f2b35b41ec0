"""What is left at a real sandbox exchange when the bot ends is what the policy says, or exit code 6 says otherwise.

Bot and exchange are processes of their own; the bot's buys rest 3 % below the market, so that they stand at the end.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.comparing import compare
from tests.integration.comparing_pictures import Account
from tests.integration.processes import PATIENCE_S, ROOT, Bot, records, session
from tests.integration.rehearsing import BEGUN, KEYS, PROFILE
from tests.integration.rehearsing_processes import Exchange

STEPS = 'steps = [{ tif = "GTC", offset_bps = -300 }]\n'
WAIT = "wait_ms = {{ IOC = 1000, GTC = {gtc_ms}, other = 1000 }}\n"
SHUTDOWN = """
[shutdown]
open_orders = "{policy}"
after_wait = "{after}"
orders_deadline_s = {orders_s}
verify_deadline_s = {verify_s}
supervisor_deadline_s = 100
"""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    found = Exchange(tmp_path, ["--count", "4", "--levels", "5", "--balance", f"USDT={BEGUN['USDT']}"])
    try:
        found.start()
        yield found
        assert found.end() == 0
    finally:
        found.away()


def write(
    there: Exchange,
    policy: str,
    after: str = "cancel",
    *,
    orders_s: float = 8,
    verify_s: float = 4,
    gtc_ms: int = 25_000,
    more: str = "",
) -> None:
    """Write the profile of a bot whose buys rest far below the market for `gtc_ms`; `more` is of the exchange."""
    text = PROFILE.format(root=ROOT, instance="leave", url=there.url, threshold_bps=3)
    begin, end = text.index("steps = [{ tif"), text.index("[intents]")
    text = text[:begin] + STEPS + WAIT.format(gtc_ms=gtc_ms) + text[end:]
    text = text.replace("max_age_s = 30", "max_age_s = 60").replace("[exchange]\n", "[exchange]\n" + more)
    text += SHUTDOWN.format(policy=policy, after=after, orders_s=orders_s, verify_s=verify_s)
    (there.folder / "quick.toml").write_text(text)


def sandbox(there: Exchange, path: str, said: object = None) -> Any:
    """Use a control path of the exchange."""
    body = None if said is None else json.dumps(said).encode()
    with urllib.request.urlopen(f"{there.url}/sandbox{path}", body, timeout=10) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())


def strikes(there: Exchange) -> int:
    return sum(int(fault["strikes"]) for fault in sandbox(there, "/faults")["faults"])


def standing(there: Exchange) -> dict[str, dict[str, Any]]:
    """Return what is open by the exchange's own word, by client id."""
    return {order["clientOrderId"]: order for order in Account(there.url).ask("openOrders")}


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)  # another process tells nobody what it wrote


def resting(there: Exchange) -> bool:
    """Whether the bot has two orders that rest; its logs are asked, since asking the exchange costs weight."""
    logs = (there.folder / "latest_session" / "logs").glob("*.jsonl")
    return sum(path.read_text().count('"event_type":"ORDER_ACCEPTED"') for path in logs) >= 2


def end(bot: Bot, there: Exchange) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the inventory, which the log and the terminal have, too."""
    code = bot.end()
    found: dict[str, Any] = session(there.folder)["shutdown"]["inventory"]
    (told,) = [one for one in records(there.folder) if one["event_type"] == "FINAL_INVENTORY"]
    assert {key: told[key] for key in found} == found
    assert "left at binance at http://127.0.0.1:" in bot.text
    for order in found["orders"][:5]:
        assert (
            f"open: buy {order['remaining']} {order['symbol']} at {order['price']} ({order['client_id']})" in bot.text
        )
    return code, found


def agreed(there: Exchange) -> None:
    """Fail unless bot and exchange agree on every order, fill and balance."""
    differences = compare(there.folder / "state" / "leave", Account(there.url), begun=BEGUN)
    assert not differences, str(differences)


def test_cancel_leaves_nothing_and_the_exchange_itself_says_so(exchange: Exchange) -> None:
    write(exchange, "cancel")
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert code == 0, bot.text
    assert standing(exchange) == {}
    assert (found["verified"], found["breach"], found["orders"], found["unknown"]) == (True, "", [], [])
    assert 'as `shutdown.open_orders = "cancel"` says, verified' in bot.text
    agreed(exchange)


def test_leave_leaves_them_and_lists_each_as_the_exchange_has_it(exchange: Exchange) -> None:
    write(exchange, "leave")
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert code == 0, bot.text
    there = standing(exchange)
    assert {order["client_id"] for order in found["orders"]} == set(there) != set()
    for order in found["orders"]:
        row = there[order["client_id"]]
        assert Decimal(order["price"]) == Decimal(row["price"])
        assert Decimal(order["remaining"]) == Decimal(row["origQty"]) - Decimal(row["executedQty"])
    assert Decimal(found["reserved_quote"]) > 0


def test_wait_lets_each_order_have_its_own_wait(exchange: Exchange) -> None:
    write(exchange, "wait", orders_s=9, gtc_ms=6_000)
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        bot.send(signal.SIGTERM)
        bot.wait_for("Shutdown signal received")
        assert standing(exchange), "they still stand while they are awaited"
        code, _ = end(bot, exchange)
    assert code == 0, bot.text
    assert standing(exchange) == {}
    agreed(exchange)


@pytest.mark.parametrize(("after", "wanted"), [pytest.param("leave", 0, marks=pytest.mark.soak), ("cancel", 6)])
def test_what_was_awaited_in_vain_is_treated_as_the_profile_says(exchange: Exchange, after: str, wanted: int) -> None:
    write(exchange, "wait", after, orders_s=3, verify_s=2, gtc_ms=2_000)
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        sandbox(exchange, "/faults", {"on": "order.cancel", "action": "status", "status": 503})
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert code == wanted, bot.text
    assert {order["client_id"] for order in found["orders"]} == set(standing(exchange)) != set()
    assert ("open at the venue" in found["breach"]) is bool(wanted)


def test_an_exchange_that_stands_still_is_exit_code_six_within_the_deadlines(exchange: Exchange) -> None:
    write(exchange, "cancel", orders_s=3, verify_s=2)
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        os.kill(exchange.life.process.pid, signal.SIGSTOP)
        try:
            bot.send(signal.SIGTERM)
            code, found = end(bot, exchange)
        finally:
            os.kill(exchange.life.process.pid, signal.SIGCONT)
    assert code == 6, bot.text
    assert found["verified"] is False
    assert "the venue could not be asked" in found["breach"]
    assert "its end is not known: leave-" in bot.text
    assert "NOT verified" in bot.text
    assert session(exchange.folder)["shutdown"]["took_s"] < 1 + 3 + 2.5 + 10 + 5
    with Bot(exchange.folder, env=KEYS) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert code == 0, "the next start settles what was left"
    assert standing(exchange) == {}
    agreed(exchange)


def test_a_cancel_whose_answer_is_lost_is_verified(exchange: Exchange) -> None:
    write(exchange, "cancel")
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        sandbox(exchange, "/faults", {"on": "order.cancel", "action": "reset", "stage": "after"})
        sandbox(exchange, "/faults", {"on": "user.executionReport", "action": "drop", "execution": "CANCELED"})
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert strikes(exchange) > 0
    assert code == 0, bot.text
    assert found["verified"] is True
    assert standing(exchange) == {}


def test_an_order_that_is_accepted_during_the_shutdown_is_found_and_cancelled(exchange: Exchange) -> None:
    write(exchange, "cancel", orders_s=10)
    with Bot(exchange.folder, env=KEYS) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        sandbox(exchange, "/faults", {"on": "order.place", "action": "late", "delay_ms": 1_500, "reply": "reset"})
        sandbox(exchange, "/faults", {"on": "user.executionReport", "action": "drop"})
        until(lambda: strikes(exchange) > 0)
        bot.send(signal.SIGTERM)
        code, found = end(bot, exchange)
    assert standing(exchange) == {}, bot.text
    assert code == 0, bot.text
    assert found["unknown"] == []
    placed = [order for order in Account(exchange.url).picture().orders if order.status == "CANCELED"]
    assert placed, "it was there, though nobody had said so"
    agreed(exchange)


def test_a_second_signal_still_says_what_is_left_and_soon(exchange: Exchange) -> None:
    write(exchange, "cancel", orders_s=30)
    with Bot(exchange.folder, env=KEYS) as bot:
        until(lambda: resting(exchange))
        sandbox(exchange, "/faults", {"on": "order.cancel", "action": "hang", "for_ms": 20_000})
        bot.send(signal.SIGTERM)
        bot.wait_for("Shutdown signal received")
        bot.send(signal.SIGINT)
        code, found = end(bot, exchange)
    assert code == 6, bot.text
    assert {order["client_id"] for order in found["orders"]} == set(standing(exchange)) != set()
    card = session(exchange.folder)["shutdown"]
    assert card["forced"] is True
    assert card["took_s"] < 15
    assert card["orders_left"]


def test_a_dead_man_s_switch_that_the_exchange_has_not_is_refused_with_what_to_do_instead(exchange: Exchange) -> None:
    write(exchange, "cancel", more="dead_man_s = 60\n")
    with Bot(exchange.folder, env=KEYS) as bot:
        assert bot.end() == 2, bot.text
    assert "binance has no dead man's switch (it has none): set exchange.dead_man_s = 0" in bot.text
    assert "WatchdogSec" in bot.text
