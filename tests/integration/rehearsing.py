"""Do bot and exchange agree after minutes of trading, whatever befalls either? Asked by `task rehearse`, its tests and
the soak: `python -m tests.integration.rehearsing --minutes 10 --symbols 50 --seed 7 --kills 2 --faults random`.

Both run as processes of their own. At the end the bot is told to stop, and its journal and ledger are compared with
what the exchange says over REST; the table tells what happened, and what is wrong ends it with 1.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tests.integration.comparing import Differences, compare
from tests.integration.comparing_pictures import KEY, Account
from tests.integration.processes import ROOT
from tests.integration.rehearsing_faults import Trouble
from tests.integration.rehearsing_processes import Exchange, Party, Sampler
from tests.integration.rehearsing_report import Figures, complaints, figures_of, table

BEGUN: Final = {"USDT": Decimal(1_000_000)}
KEYS: Final = {"TRADEBOT_API_KEY": KEY, "TRADEBOT_API_SECRET": "-".join(("test", "secret"))}
INSTANCE: Final = "rehearse"

SETTLE_S: Final = 90.0
"""Longest wait, once no fault stands any more, until the bot trades and knows every order's fate."""

PROFILE = """
extends = "{root}/profiles/sandbox.toml"
[bot]
instance = "{instance}"
[exchange]
base_url = "{url}"
recv_window_ms = 2000
request_timeout_s = 3
not_found_after_s = 3
poll_interval_s = 1
reconcile_interval_s = 30
clock_interval_s = 10
keep_alive_s = 5
[market]
stale_after_s = 5
health_check_interval_s = 5
[drop]
anchor = {{ kind = "rolling_high", window_s = 30, window_buckets = 30, warmup_s = 3 }}
threshold_bps = {threshold_bps}
cooldown_s = 1
debounce_s = 1
rearm = false
[budget]
per_trade_quote = 3000
max_positions = 500
max_per_symbol_quote = 9000
[execution]
max_spread_bps = 25
max_slippage_bps = 60
send_deadline_ms = 1000
query_interval_ms = 300
query_max_interval_ms = 2000
cancel_wait_ms = 1000
steps = [{{ tif = "IOC" }}, {{ tif = "GTC", offset_bps = -4 }}, {{ tif = "IOC", offset_bps = 8 }}, {{ tif = "GTC" }}]
wait_ms = {{ IOC = 1000, GTC = 2000, other = 1000 }}
[intents]
max_age_s = 30
check_interval_s = 5
[exits]
take_profit_bps = 25
stop_loss_bps = 40
max_hold_s = 15
trailing = {{ activate_bps = 8, distance_bps = 6 }}
steps = [{{ tif = "IOC" }}, {{ tif = "IOC", offset_bps = 20 }}, {{ type = "market" }}]
[state]
persist_interval_s = 2
[metrics]
export_interval_s = 5
"""


class Plan(Struct, frozen=True):
    """What is rehearsed. `kills` are shared by bot and exchange in turn; `faults` is "", "random" or a faults file."""

    seconds: float
    symbols: int = 50
    seed: int = 1
    faults: str = ""
    kills: int = 0
    threshold_bps: int = 12


class Outcome(Struct, frozen=True):
    """What came of it: the differences, the figures, and in words everything that is wrong."""

    differences: Differences
    figures: Figures
    wrong: tuple[str, ...]


class Moment(Struct, frozen=True, order=True):
    """A kill to come, in s since the beginning: of which side, and how long it stays away."""

    at_s: float
    side: str
    away_s: float


def rehearse(folder: Path, plan: Plan, say: Any = print) -> Outcome:
    """Rehearse in `folder`; return what came of it."""
    words = ["--count", str(plan.symbols), "--seed", str(plan.seed), "--levels", "5", "--balance", _balance()]
    if plan.faults not in {"", "random"}:
        words += ["--faults", str(Path(plan.faults).resolve())]
    exchange = Exchange(folder, words)
    bot = Party("bot", folder, ["--profile", "rehearsal.toml", "--headless"], KEYS)
    with ExitStack() as stack:
        stack.callback(exchange.away)
        stack.callback(bot.away)
        exchange.start()
        _write_profile(folder, plan, exchange.url)
        trouble = Trouble(exchange.url, plan.seed)
        bot.start()
        bot.wait_for("RECOVERY_COMPLETED")
        with Sampler((bot, exchange)):
            _run(plan, exchange, bot, trouble, say)
            trouble.clear()
            why = _unsettled(folder, bot)
        bot.end()
        differences = compare(folder / "state" / INSTANCE, Account(exchange.url), begun=BEGUN)
        exchange.end()
    figures = figures_of(folder, plan.seconds, bot, exchange, trouble.struck)
    wrong = [
        *differences,
        *complaints(figures, bot, exchange, calm=not plan.kills and not plan.faults, symbols=plan.symbols),
    ]
    if why:
        wrong.append(f"the bot, {SETTLE_S:g} s after the last fault: {why}")
    return Outcome(differences, figures, tuple(wrong))


def _balance() -> str:
    return ",".join(f"{asset}={amount}" for asset, amount in BEGUN.items())


def _write_profile(folder: Path, plan: Plan, url: str) -> None:
    text = PROFILE.format(root=ROOT, instance=INSTANCE, url=url, threshold_bps=plan.threshold_bps)
    (folder / "rehearsal.toml").write_text(text)


def _run(plan: Plan, exchange: Exchange, bot: Party, trouble: Trouble, say: Any) -> None:
    """Let the time pass, with kills at their moments and faults between them; a bot that ended by itself ends it."""
    rng = random.Random(f"kills {plan.seed}")
    kills = [
        Moment(rng.uniform(0.15, 0.8) * plan.seconds, ("bot", "exchange")[number % 2], rng.uniform(0.1, 3.0))
        for number in range(plan.kills)
    ]
    kills.sort()
    began = time.monotonic()
    fault_at = trouble.pause_s() if plan.faults == "random" else plan.seconds
    while (now := time.monotonic() - began) < plan.seconds:
        bot.supervise()
        if not bot.running and not bot.life.never_began:
            return
        if kills and now >= kills[0].at_s:
            _kill(kills.pop(0), exchange, bot, trouble, say, now)
        elif now >= fault_at:
            trouble.next()
            fault_at = now + trouble.pause_s()
        else:
            due = min(fault_at, kills[0].at_s if kills else plan.seconds, plan.seconds, now + 1.0)
            time.sleep(max(0.0, due - now))  # the time that passes is what is rehearsed


def _kill(moment: Moment, exchange: Exchange, bot: Party, trouble: Trouble, say: Any, now: float) -> None:
    party: Party = bot if moment.side == "bot" else exchange
    say(f"{now:6.1f} s: kill -9 of the {party.name}, away for {moment.away_s:.1f} s", flush=True)
    if party is exchange:
        trouble.count()
    party.kill()
    time.sleep(moment.away_s)  # it is away for so long: that is what is rehearsed
    party.start()
    if party is exchange:
        trouble.began_anew()


def _unsettled(folder: Path, bot: Party) -> str:
    """Wait until the bot trades and no order's fate is unknown to it; return in words why that did not come."""
    end = time.monotonic() + SETTLE_S
    why = ""
    while time.monotonic() < end:
        bot.supervise()
        if not bot.running and not bot.life.never_began:
            return "it has ended"
        status = _status(folder)
        unknown = int(status.get("unknown_orders", 0))
        why = "it answers no question" if not status else "" if status["trading"] else "it has not recovered"
        why = why or (f"{unknown} orders of unknown fate" if unknown else "")
        if not why:
            return ""
        time.sleep(0.5)  # it is asked, it does not tell
    return why


def _status(folder: Path) -> dict[str, Any]:
    asked = subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", "status", "--json"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(asked.stdout)["status"] if asked.returncode == 0 else {}
    return found


def main() -> int:
    """Rehearse as the command line says; return 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description="Let a bot trade on a sandbox exchange, and compare the two.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it trades (10)")
    parser.add_argument("--symbols", type=int, default=50, help="how many symbols (50)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of market and chance")
    parser.add_argument("--faults", default="", metavar="FILE|random", help="what goes wrong meanwhile")
    parser.add_argument("--kills", type=int, default=0, help="how often one of the two is killed, in turn")
    parser.add_argument("--folder", type=Path, help="where it runs, and what it leaves stays (else a temporary one)")
    asked = parser.parse_args()
    plan = Plan(asked.minutes * 60, asked.symbols, asked.seed, asked.faults, asked.kills)
    print(f"rehearsal: {msgspec.structs.asdict(plan)}", flush=True)
    with ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rehearsal-")))
        folder.mkdir(parents=True, exist_ok=True)
        outcome = rehearse(folder, plan)
    print(table(outcome.figures, outcome.differences))
    for line in outcome.wrong:
        print(f"WRONG: {line}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
