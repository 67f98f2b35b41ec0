"""Does the status say on a narrow terminal what a person asks: does it trade, what is held, why is nothing bought?"""

from __future__ import annotations

import tomllib
from decimal import Decimal

from tradebot.config.profile import Profile
from tradebot.domain.events import QuoteSeen
from tradebot.domain.market import Instrument
from tradebot.domain.views import PendingView, ProbationView, ProfileView, SwitchView
from tradebot.engine.engine import Engine
from tradebot.engine.state import Closed
from tradebot.runtime.status import Status, Warming, money_of, place_of, rearming, status_lines, warming

NOW_MS = 1_700_000_000_000
AAA, BBB = "AAA/USDT", "BBB/USDT"


def engine(anchor: dict[str, object]) -> Engine:
    profile = Profile.model_validate({"drop": {"anchor": anchor}})
    step = Decimal("0.01")
    return Engine(profile, [Instrument(f"{base}/USDT", base, "USDT", step, step) for base in ("AAA", "BBB")])


def status(**changes: object) -> Status:
    told: dict[str, object] = {
        "profile": "demo",
        "synthetic": True,
        "quote": "USDT",
        "up_s": 3_725.0,
        "trading": True,
        "positions": tuple(f"SYN{number:03d}/USDT" for number in range(8)),
        "intents": 2,
        "orders": 2,
        "fills": 12_345,
        "trades": 2_345,
        "pnl": Decimal("12345.678"),
        "cash": Decimal("1234567.891"),
        "age_s": 0.04,
        "errors": 0,
        "held": Decimal("1298.86"),
        "watched": 12,
    }
    return Status(**(told | changes))  # type: ignore[arg-type]


def of_venue(venue: str, exchange: str = "") -> Profile:
    text = f'venue.kind = "{venue}"\nfeed.kind = "ccxt"\n{exchange}'
    return Profile.model_validate(tomllib.loads(text))


def test_a_rehearsal_is_told_with_its_address_and_real_orders_in_plain_words() -> None:
    assert money_of(of_venue("paper")) == "paper money"
    assert money_of(of_venue("ccxt")) == "orders go to binance"
    there = 'exchange.base_url = "http://127.0.0.1:8900"'
    assert money_of(of_venue("ccxt", there)) == "orders go to binance at http://127.0.0.1:8900, a rehearsal"
    assert place_of(of_venue("ccxt", there)) == "binance at http://127.0.0.1:8900, a rehearsal"
    assert (place_of(of_venue("ccxt")), place_of(of_venue("paper"))) == ("binance", "the paper venue")


def test_the_first_line_says_what_holds_buying() -> None:
    held = status(buying_held="the venue is banned")
    assert "· trading, buying held: the venue is banned ·" in status_lines(held)[0]
    assert "held:" not in status_lines(status(buying_held="the venue is banned", paused="cli:ada"))[0]
    assert "held:" not in status_lines(status(buying_held="the venue is banned", buying=False))[0]


def test_every_line_fits_eighty_columns() -> None:
    lines = status_lines(status(warming=Warming(12, 14_385_001)))
    assert lines == [
        "tradebot demo · SYNTHETIC MARKET, paper money · trading · 1:02:05",
        "newest price 0.0 s old · errors 0 · warming 12 of 12 symbols, 3:59:46 left",
        "positions 8: SYN000, SYN001, SYN002, SYN003, SYN004, SYN005, SYN006, SYN007",
        "intents 2 · orders 2 · fills 12,345 · trades 2,345",
        "PnL +12,345.68 USDT · cash 1,234,567.89 · held 1,298.86",
    ]
    assert max(map(len, lines)) <= 80


def test_a_toggle_that_is_off_is_said() -> None:
    assert "· trading, buying off ·" in status_lines(status(buying=False))[0]
    assert "· trading, buying off, exits off ·" in status_lines(status(buying=False, exits=False))[0]


IN_FORCE = ProfileView(path="demo.toml", generation=12, since_ms=NOW_MS, cause="edit", who="edit", digest="")


def test_the_generation_in_force_is_shown_and_fits() -> None:
    lines = status_lines(status(in_force=IN_FORCE, warming=Warming(12, 14_385_001)))
    assert lines[3] == "gen 12 · intents 2 · orders 2 · fills 12,345 · trades 2,345"
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80


def test_what_an_operator_did_or_has_to_do_has_a_line_each() -> None:
    profile = ProfileView(
        path="demo.toml",
        generation=12,
        since_ms=NOW_MS,
        cause="edit",
        who="edit",
        digest="",
        pinned=True,
        pending=PendingView(
            digest="abc", since_ms=NOW_MS, who="edit", reason="loosens budget.max_positions", changes=(), plan=()
        ),
        probation=ProbationView(until_ms=NOW_MS + 492_000, falls_back_to=11, guards=()),
        overrides=(SwitchView(feature="metrics", on=False, profile=True, override="cli:ada"),),
    )
    assert status_lines(status(in_force=profile, at_ms=NOW_MS, paused="cli:ada"))[2:7] == [
        "buying paused by cli:ada · `tradebot resume` lets it go on",
        "an edit waits: loosens budget.max_positions · `tradebot reload --confirm`",
        "over the profile: metrics off (cli:ada)",
        "the files say something else",
        "on probation, 0:08:12 left · falls back to gen 11",
    ]
    assert status_lines(status(flattening=True, paused="door"))[2] == (
        "selling everything, buying paused by door · `tradebot resume` ends it"
    )


def test_before_the_first_price_and_the_reconciliation_both_are_said() -> None:
    text = "\n".join(status_lines(status(age_s=None, trading=False, positions=())))
    assert "not trading yet" in text
    assert "no price yet" in text
    assert "positions 0: none" in text
    assert "warming" not in text


def test_a_window_warms_from_its_first_price_on() -> None:
    machine = engine({"kind": "rolling_high", "window_s": 60, "window_buckets": 60, "warmup_s": 5})
    assert warming(machine.symbols.values(), NOW_MS) == Warming(2, 5_000)
    machine.process(QuoteSeen(AAA, 99.99, 100.01, 1.0, 1.0, NOW_MS), NOW_MS)
    assert warming(machine.symbols.values(), NOW_MS + 2_000) == Warming(2, 5_000)  # BBB has had no price yet
    machine.process(QuoteSeen(BBB, 99.99, 100.01, 1.0, 1.0, NOW_MS + 2_000), NOW_MS + 2_000)
    assert warming(machine.symbols.values(), NOW_MS + 4_000) == Warming(2, 3_000)
    assert warming(machine.symbols.values(), NOW_MS + 5_000) == Warming(1, 2_000)
    assert warming(machine.symbols.values(), NOW_MS + 7_000) is None


def rearms(machine: Engine, name: str, now_ms: int) -> bool:
    return rearming(machine.desk, machine.symbols[name], now_ms)


def test_after_a_stop_loss_the_wait_is_that_of_a_new_anchor_and_no_longer_than_it_alone_explains() -> None:
    machine = engine({"kind": "rolling_high", "window_s": 60, "window_buckets": 60, "warmup_s": 5})
    for name in (AAA, BBB):
        machine.process(QuoteSeen(name, 99.99, 100.01, 1.0, 1.0, NOW_MS), NOW_MS)
    assert not rearms(machine, AAA, NOW_MS)
    lost_ms = NOW_MS + 20_300
    machine.state.closed.update({AAA: Closed(lost_ms, "stop_loss"), BBB: Closed(lost_ms, "take_profit")})
    assert not rearms(machine, AAA, lost_ms), "its window is warm"
    for name in (AAA, BBB):
        machine.symbols[name].anchor.reset()
    assert rearms(machine, AAA, lost_ms)
    assert not rearms(machine, BBB, lost_ms), "it is cold for another cause"
    machine.process(QuoteSeen(AAA, 99.99, 100.01, 1.0, 1.0, lost_ms + 900), lost_ms + 900)
    assert rearms(machine, AAA, lost_ms + 4_900)
    assert not rearms(machine, AAA, lost_ms + 5_800), "warm again"
    machine.symbols[AAA].anchor.reset()
    assert not rearms(machine, AAA, lost_ms + 6_000), "there were no prices, or they were lost since"


def test_the_wait_after_a_stop_loss_has_a_line_of_its_own() -> None:
    lines = status_lines(status(rearming=Warming(2, 14_385_001)))
    assert lines[2] == "after a stop loss 2 symbols wait for a new anchor, 3:59:46 left"
    assert "warming" not in lines[1]


def test_a_session_high_needs_no_time() -> None:
    assert warming(engine({"kind": "session_high"}).symbols.values(), NOW_MS) is None
