"""Does the status say what a person needs at night: what is held, what became of the last edit, what to do next?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from tests.control.little_bot import BEGUN_MS, LittleBot
from tradebot.cli.holdings import unrealised
from tradebot.cli.status import headline, status_rows
from tradebot.domain.views import DropView, FaultView, OrderView, OutcomeKind, OutcomeView, PositionView, Snapshot


def rows(shown: Snapshot) -> dict[str, list[str]]:
    """Return the texts of the status by their heads; a row without one belongs to the one above."""
    found: dict[str, list[str]] = {}
    head = ""
    for name, text in status_rows(shown):
        head = name or head
        found.setdefault(head, []).append(text)
    return found


def edited(outcome: OutcomeKind, lines: tuple[str, ...], faults: tuple[FaultView, ...] = ()) -> list[str]:
    """Return what is told of the last edit."""
    bot = LittleBot()
    bot.last = OutcomeView(outcome=outcome, generation=1, lines=lines, faults=faults)
    return rows(bot.snapshot()).get("last edit", [])


def position(symbol: str, **about: Any) -> PositionView:
    return structs.replace(LittleBot().snapshot().positions[0], symbol=symbol, **about)


def order(number: int, **about: Any) -> OrderView:
    return structs.replace(LittleBot().snapshot().orders[0], client_id=f"prod-r1-{number}", **about)


def drop(symbol: str, **about: Any) -> DropView:
    return structs.replace(LittleBot().snapshot().drops[0], symbol=symbol, **about)


def test_positions_are_listed_the_worst_first_and_at_most_twelve() -> None:
    held = tuple(position(f"S{number}/USDT", gain_bps=100.0 * number - 350) for number in range(14))
    listed = rows(structs.replace(LittleBot().snapshot(), positions=held))["positions"][1:]
    assert listed[0] == "S0/USDT     -3.50 %  stop 137.5  target –"
    assert listed[11].startswith("S11/USDT    +7.50 %")
    assert listed[12:] == ["and 2 more"]


def test_a_position_without_a_price_is_told_so_and_counts_nothing() -> None:
    held = (
        position("A/USDT", bid=0.0, worth=Decimal(0)),
        position("B/USDT", stop=0.00000123, target=83_676.8212, worth=Decimal("98.5")),
    )
    shown = rows(structs.replace(LittleBot().snapshot(), positions=held))["positions"]
    assert unrealised(held) == Decimal("-1.5")
    assert shown[0].endswith(" · unrealised -1.50 USDT")
    assert "no price" in shown[1] + shown[2]
    assert any(line.endswith("stop 0.00000123  target 83,676.821") for line in shown)


def test_orders_under_way_are_listed() -> None:
    orders = tuple(order(number) for number in range(13))
    market = order(99, type="market", price=Decimal(0), side="sell", amount=Decimal("1E+2"))
    listed = rows(structs.replace(LittleBot().snapshot(), orders=(market, *orders)))["under way"]
    assert listed[1] == "sell S1/USDT 100 IOC, 40 filled, 0.6 s"
    assert listed[2] == "buy S1/USDT 100 at 0.0812 IOC, 40 filled, 0.6 s"
    assert listed[13:] == ["and 2 more"]


def test_a_symbol_that_leaves_is_not_warming_up() -> None:
    drops = (drop("A/USDT", warm_in_s=60.0), drop("B/USDT", warm_in_s=60.0, gate="market.symbols"))
    shown = structs.replace(LittleBot().snapshot(), drops=drops)
    shown = structs.replace(shown, status=structs.replace(shown.status, warming=2))
    assert rows(shown)["market"] == [
        "2 symbols · newest price 0.2 s old · 1 stale · 1 warming up, not bought yet · 1 leaving, not bought any more"
    ]


def test_a_symbol_that_waits_after_its_stop_loss_is_told_as_that() -> None:
    drops = (drop("A/USDT", warm_in_s=60.0), drop("B/USDT", warm_in_s=200.4, rearming=True), drop("C/USDT"))
    (market,) = rows(structs.replace(LittleBot().snapshot(), drops=drops))["market"]
    assert market.endswith(" · 1 warming up, not bought yet · 1 waiting for a new anchor after a stop loss, 3:20 left")


def test_a_journal_that_this_start_rebuilt_is_told_as_long_as_the_run_lasts() -> None:
    shown = LittleBot().snapshot()
    assert "rebuilt" not in rows(shown)
    assert status_rows(about_status(shown, rebuilt=True))[0] == (
        "rebuilt",
        "the journal was damaged, this start wrote it anew · STATE_REBUILT in the events log",
    )


def test_damage_in_the_journal_that_the_bot_does_not_need_is_told_before_all_but_what_stops_it() -> None:
    shown = about_status(LittleBot().snapshot(), journal_damaged="fact 7 cannot be read")
    assert status_rows(shown)[0] == (
        "damaged",
        "the journal is damaged, reports of that time are not to be had: `tradebot journal --check` · "
        "fact 7 cannot be read",
    )


def test_a_rejected_edit_shows_its_first_faults() -> None:
    faults = tuple(
        FaultView(file="my.toml", line=n, column=1, key="drop.x", message="unknown key") for n in range(1, 6)
    )
    head = "rejected · my.toml · 5 faults · still on generation 1"
    assert edited("rejected", (head, "  not shown"), faults)[1:] == [
        "my.toml:1:1: drop.x: unknown key",
        "my.toml:2:1: drop.x: unknown key",
        "my.toml:3:1: drop.x: unknown key",
        "and 2 more: `tradebot reload`",
    ]
    bare = FaultView(file="my.toml", line=0, column=0, key="", message="is not there any more")
    assert edited("rejected", (head,), (bare,))[1:] == ["my.toml: is not there any more"]


@pytest.mark.parametrize(
    ("outcome", "last"),
    [
        ("refused", "a start runs the generation in force until this is accepted: `tradebot reload --confirm`"),
        ("refused", "accepted: the next start runs it"),
        ("rolled_back", "as in generation 1; no file was written"),
    ],
)
def test_after_what_was_not_applied_it_is_told_what_follows(outcome: OutcomeKind, last: str) -> None:
    assert edited(outcome, ("head", "  engine.band  true → false", f"  {last}"))[1:] == [last]


def test_of_an_applied_edit_one_line_is_left() -> None:
    lines = ("generation 1 → 2 · my.toml · 1 live", "  drop.x  1 → 2", "  a-1 sell: cancelled 886 ms from now")
    assert edited("applied", lines) == ["2026-09-21 14:13:20 UTC · generation 1 → 2 · my.toml · 1 live"]


def test_what_waits_is_shown_once_with_its_id() -> None:
    bot = LittleBot(draft="waiting")
    bot.last = OutcomeView(outcome="pending", generation=1, lines=("waiting · prod.toml",))
    shown = rows(bot.snapshot())
    assert shown["waiting"] == ["ID 1a2b3c4d · loosens: budget.max_positions 10 → 40 · `tradebot reload --confirm`"]
    assert "last edit" not in shown


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"pinned": True, "by_rollback": True}, " · pinned: the files say something else"),
        ({"pinned": True}, " · the files say something else"),
        ({"pinned": True, "by_rollback": True, "cause": "automatic"}, " · the files hold what was rolled back"),
        (
            {"pinned": True, "last_reload": OutcomeView(outcome="rejected", generation=1)},
            " · the files have faults and are not in force",
        ),
        (
            {"pinned": True, "last_reload": OutcomeView(outcome="refused", generation=1)},
            " · the files hold a refused edit, which is not in force",
        ),
        ({"by_rollback": True}, ""),
    ],
)
def test_files_that_are_not_in_force_are_told_by_what_they_are_and_pinned_is_a_rollback_alone(
    about: dict[str, Any], said: str
) -> None:
    shown = LittleBot().snapshot()
    plain = structs.replace(shown.status.profile, since_ms=BEGUN_MS, cause="edit", last_reload=None)
    before = rows(about_status(shown, profile=plain))["profile"][0]
    assert "files" not in before
    cause = about.get("cause", "edit")
    told = rows(about_status(shown, profile=structs.replace(plain, **about)))["profile"][0]
    assert told.endswith(said)
    assert told.removesuffix(said) == before or cause != "edit"


def about_status(shown: Snapshot, **about: Any) -> Snapshot:
    return structs.replace(shown, status=structs.replace(shown.status, **about))


def test_a_journal_that_cannot_be_written_is_told_before_all_else() -> None:
    cause = "state/journal.sqlite: cannot be written (database or disk is full); 7 facts wait"
    shown = about_status(LittleBot().snapshot(), journal_failed=cause)
    assert status_rows(shown)[0] == (
        "journal",
        f"nothing can be sent: the journal cannot be written · {cause}",
    )
    assert next(iter(structs.asdict(shown.status))) == "journal_failed", "first in the JSON, too"
    since = about_status(shown, journal_failed_ms=BEGUN_MS - 131_000)
    assert status_rows(since)[0][1] == f"nothing can be sent for 2:11: the journal cannot be written · {cause}"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, "buying on"),
        ({"buying_held": "the venue is banned"}, "buying held: the venue is banned"),
        ({"buying_held": "the venue is banned", "paused": "cli:ana"}, "buying paused"),
        ({"buying_held": "the venue is banned", "buying": False}, "buying off"),
    ],
)
def test_the_headline_says_what_holds_buying(about: dict[str, Any], said: str) -> None:
    status = structs.replace(LittleBot().snapshot().status, **{"paused": "", **about})
    assert said in headline(status).split(" · ")


def test_the_headline_says_where_orders_go() -> None:
    money = "orders go to binance at http://127.0.0.1:8900, a rehearsal"
    assert headline(structs.replace(LittleBot().snapshot().status, money=money)).split(" · ")[1] == money
