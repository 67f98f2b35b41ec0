"""Does a report say what happened: in words, as JSON and as trades, each number exact?"""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.research.facts import Story
from tradebot.domain import facts as f
from tradebot.domain.errors import DataInvalid
from tradebot.domain.orders import Side
from tradebot.research import report as reports
from tradebot.research.report import Report, SessionInfo
from tradebot.research.targets import Evidence
from tradebot.research.text import money, to_text, total_text
from tradebot.research.trades import RunBook, Trade, to_csv

D = Decimal


def info(**changes: object) -> SessionInfo:
    told: dict[str, object] = {
        "name": "20261122T164900Z-demo",
        "kind": "run",
        "profile": "demo",
        "run": "r1",
        "instance": "demo",
        "started_ms": 1_700_000_000_000,
        "ended_ms": 1_700_000_090_000,
        "exit_code": 0,
    }
    return SessionInfo(**(told | changes))  # type: ignore[arg-type]


def booked(story: Story) -> RunBook:
    book = RunBook()
    for at_ms, fact in story.facts:
        book.record([fact], at_ms)
    return book


def reported(story: Story, evidence: Evidence | None = None, **changes: object) -> Report:
    book = booked(story)
    return reports.build(info(**changes), book.tally.summary(), evidence or Evidence(), tuple(book.trades))


def verdicts(report: Report) -> dict[str, str]:
    return {target.name: target.verdict for target in report.targets}


def test_trades_csv_holds_exact_decimals_and_utc_times() -> None:
    story = Story()
    story.round_trip(entry="0.00000123", exit_price="0.00000124")
    text = to_csv(booked(story).trades)
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["symbol"] == "AAA/USDT"
    assert row["cost"] == "0.10000123"
    assert row["pnl"] == "-0.19999999"
    assert row["fees"] == "0.2"
    assert row["closed"] == "2023-11-14T22:13:35.000Z"
    assert row["opened"] == "2023-11-14T22:13:29.000Z"
    assert (row["reason"], row["generation"]) == ("take_profit", "1")


def test_average_prices_in_the_csv_end_after_twelve_digits() -> None:
    trade = Trade("AAA/USDT", 0, 1, D(2) / 3, D("91.41828000000001"), D(1), D("0.1"), D("0.2"), D(0), D("0.1"), "x", 1)
    (row,) = csv.DictReader(io.StringIO(to_csv([trade])))
    assert (row["entry"], row["exit"]) == ("0.666666666667", "91.41828")


def test_no_trades_give_a_header_alone() -> None:
    assert to_csv([]) == "symbol,opened,closed,entry,exit,amount,cost,proceeds,fees,pnl,reason,generation\n"


def test_the_text_names_session_money_counts_and_every_target() -> None:
    story = Story()
    story.round_trip()
    text = to_text(reported(story, market="synthetic market (seed 1)", synthetic=True))
    assert "session 20261122T164900Z-demo · profile demo · demo-r1" in text
    assert "synthetic market (seed 1) · SYNTHETIC: nothing of it is real" in text
    assert "1 min 30 s · exit 0" in text
    lines = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ")}
    assert "9.80 USDT" in lines["PnL"]
    assert "0.20 USDT" in lines["fees"]
    assert "1,009.80 USDT" in lines["balance"]
    assert "1 won, 0 lost" in lines["trades"]
    assert "100.0 % (2 of 2 intents)" in lines["fill rate"]
    assert lines["conserved"].split()[1] == "yes"
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_first_rows_add_up_to_what_the_equity_moved() -> None:
    story = Story()
    story.filled_intent("AAA/USDT", Side.BUY, "100", "1")
    story.filled_intent("AAA/USDT", Side.SELL, "110", "0.9")
    story.closed("AAA/USDT", cost="100", proceeds="99", amount="0.9")
    story.filled_intent("BBB/USDT", Side.BUY, "10", "4")
    book = booked(story)
    book.tally.mark_prices(story.now, {"BBB/USDT": 12.0})
    book.begin(story.now)
    later = Story()
    later.filled_intent("BBB/USDT", Side.SELL, "11", "1")
    later.tell(f.DriftAdopted("AAA", "AAA/USDT", D("-0.04"), D(100), estimate=False, who="ana"))
    later.tell(f.DriftAdopted("USDT", "", D(4), D(0), estimate=False, who="ana"))
    for at_ms, fact in later.facts[2:]:
        book.record([fact], at_ms)
    summary = book.tally.summary(prices={"AAA/USDT": 90.0, "BBB/USDT": 12.5})
    assert (
        "PnL 0.00 USDT closed trades, fees included "
        "open 8.50 USDT 1 position worth 37.50 that cost 30.00, and 1.00 by what of them is sold "
        "dust -1.60 USDT left by closed trades, worth 5.40 now; 4.00 of it went by hand, in no trade's PnL "
        "adopted 0.00 USDT came or went by hand, in 2 bookings, no trades "
        "equity 1,016.90 USDT began with 1,010.00, moved 6.90: PnL + open + dust + adopted "
        "balance 974.00 USDT began with 959.00 "
    ) in " ".join(to_text(reports.build(info(), summary, Evidence())).split())


def test_what_was_open_before_a_run_is_taken_off() -> None:
    story = Story()
    story.filled_intent("BBB/USDT", Side.BUY, "10", "4")
    story.filled_intent("BBB/USDT", Side.BUY, "12", "1")
    book = booked(story)
    book.begin(story.now)
    text = to_text(reports.build(info(), book.tally.summary(prices={"BBB/USDT": 11.0}), Evidence()))
    words = " ".join(text.split())
    assert "open 3.00 USDT 1 position worth 55.00 that cost 52.00" in words
    assert "before -8.00 USDT was open before this run began, and is in PnL or open now" in words
    assert "equity 1,003.00 USDT began with 1,008.00, moved -5.00: PnL + open + before" in words
    assert "drawdown 0.50 % largest fall of the equity" in words


def test_a_report_of_an_older_version_is_told_without_the_parts_it_does_not_know(tmp_path: Path) -> None:
    story = Story()
    story.filled_intent("BBB/USDT", Side.BUY, "10", "4")
    report = reported(story)
    report.summary.movement = None
    (tmp_path / "report.json").write_bytes(reports.to_json(report))
    text = " ".join(to_text(reports.read(tmp_path / "report.json")).split())
    assert "open 0.00 USDT with all dust, as older versions told it equity 1,000.00 USDT began with 1,000.00" in text


def test_nothing_synthetic_is_said_of_real_data() -> None:
    text = to_text(reported(Story(), market="recorded candles"))
    assert "recorded candles" in text
    assert "SYNTHETIC" not in text


def test_a_session_without_an_end_says_so() -> None:
    assert "no end was written" in to_text(reported(Story(), ended_ms=None, exit_code=None))


@pytest.mark.parametrize("kind", ["run", "replay"])
def test_a_session_that_never_began_is_a_name_card_and_in_no_total(kind: str) -> None:
    one = Story()
    one.round_trip()
    summary = RunBook().tally.summary()
    never = reports.build(info(kind=kind, exit_code=1), summary, Evidence(), (), "it ended before it could trade")
    assert to_text(never).splitlines()[-2:] == [
        "2023-11-14 22:13:20 → 2023-11-14 22:14:50 UTC · 1 min 30 s · exit 1",
        "it ended before it could trade",
    ]
    (total,) = reports.totals([reported(one), never])
    assert (total.quote, total.sessions) == ("USDT", 1)
    killed = reports.build(info(kind=kind, ended_ms=None, exit_code=None), summary, Evidence(), ())
    assert "began 2023-11-14 22:13:20 UTC" in to_text(killed)


def test_broken_conservation_is_loud() -> None:
    story = Story()
    story.filled_intent("AAA/USDT", Side.BUY, "100", "1")
    story.filled_intent("AAA/USDT", Side.SELL, "110", "1")
    story.closed("AAA/USDT", cost="100", proceeds="110.00000001")
    text = " ".join(to_text(reported(story)).split())
    assert "conserved NO the fills differ by 0.00000001 from the PnL of the trades" in text


def test_targets_of_a_good_session_are_met() -> None:
    story = Story()
    story.round_trip()
    story.tell(f.BalanceRefreshed(asset="USDT", total=D("1009.8")))
    report = reported(story, Evidence(failure_records=0, stack_dumps=0, threads_cleaned_pct=100.0))
    assert set(verdicts(report).values()) == {"met"}


def test_targets_of_a_bad_session_are_not_met() -> None:
    story = Story()
    for i in range(10):
        number = story.intent(f"S{i}/USDT", Side.BUY)
        client_id = story.order(number, f"S{i}/USDT", Side.BUY)
        story.tell(f.OrderRejected(client_id=client_id, symbol=f"S{i}/USDT", side=Side.BUY, code="-1", message="x"))
    story.tell(f.BalanceRefreshFailed(cause="timeout"))
    report = reported(story, Evidence(failure_records=9, stack_dumps=1, threads_cleaned_pct=87.5))
    assert set(verdicts(report).values()) == {"not met"}
    found = {target.name: target.found for target in report.targets}
    assert found["failures visible"] == "10 failures, 9 records"
    assert found["fill rate"] == "0.0 % (0 of 10 intents)"
    assert found["thread cleanup"] == "87.5 %"


def test_what_left_no_trace_is_not_applicable() -> None:
    assert set(verdicts(reported(Story())).values()) == {"met", "not applicable"}  # nothing pending is met


@pytest.mark.parametrize(("filled", "of", "verdict"), [(3, 10, "not met"), (4, 10, "met")])
def test_thirty_per_cent_is_not_above_thirty_per_cent(filled: int, of: int, verdict: str) -> None:
    story = Story()
    for i in range(of):
        symbol = f"S{i}/USDT"
        if i < filled:
            story.filled_intent(symbol, Side.BUY, "1", "1")
        else:
            number = story.intent(symbol, Side.BUY)
            story.done(story.order(number, symbol, Side.BUY), symbol, Side.BUY)
            story.ended(number, symbol, Side.BUY)
    assert verdicts(reported(story))["fill rate"] == verdict


def test_a_stored_report_is_read_back_to_the_last_digit(tmp_path: Path) -> None:
    story = Story(cash="123456789012.123456789012345678")
    story.round_trip(entry="0.00000123")
    story.filled_intent("BBB/USDT", Side.BUY, "3", "0.000000000000000001")
    report = reported(story)
    path = tmp_path / "report.json"
    path.write_bytes(reports.to_json(report))
    assert reports.read(path) == report
    assert b'"initial_quote":123456789012.123456789012345678,' in path.read_bytes()


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(DataInvalid, match=r"report\.json: cannot be read: No such file"):
        reports.read(path)
    path.write_text('{"session": 3}')
    with pytest.raises(DataInvalid, match=r"report\.json: not a session's report"):
        reports.read(path)


def test_json_holds_rates_and_plain_numbers() -> None:
    story = Story(cash="1E+3")
    story.round_trip()
    told = json.loads(reports.to_json(reports.as_dict(reported(story))))
    assert told["summary"]["initial_quote"] == 1000
    assert told["summary"]["fill_rate"] == 1.0
    assert told["targets"][0]["verdict"] == "met"
    assert "trades" not in told


def test_totals_add_sessions_of_one_quote_and_part_others() -> None:
    one, other = Story(), Story(quote="BTC", cash="5")
    one.round_trip()
    pair = reports.totals([reported(one), reported(one), reported(other)])
    assert [(total.quote, total.sessions, total.counts.trades) for total in pair] == [("USDT", 2, 2), ("BTC", 1, 0)]
    assert pair[0].pnl_quote == D("19.6")
    assert "total of 2 sessions in USDT" in total_text(pair[0])
    assert "19.60 USDT" in total_text(pair[0])


def test_the_text_stays_within_eighty_columns_and_says_all_of_it() -> None:
    story = Story(cash="1_234_567.89")
    story.round_trip()
    report = reported(story, ended_ms=None, exit_code=None, market="synthetic market (seed 1)", synthetic=True)
    report.summary.compared = ("the PnL of the trades", "the engine's ledger", "the paper account")
    report.summary.positions_held, report.summary.held_value_quote = 12, D("1_234_567.12")
    text = to_text(report)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert "agree to the last unit with the PnL of the trades, the engine's ledger, the paper account" in words


def test_symbols_without_a_trade_stand_by_what_is_held() -> None:
    story = Story()
    story.filled_intent("AAA/USDT", Side.BUY, "0.01", "1")
    story.filled_intent("BBB/USDT", Side.BUY, "90", "1")
    text = to_text(reported(story))
    assert text.index("BBB/USDT") < text.index("AAA/USDT")


@pytest.mark.parametrize(
    ("value", "equity", "text"),
    [
        ("0", "1000", "0.00"), ("1234567.891", "1000", "1,234,567.89"), ("-0.005", "100", "0.00"),
        ("1E+3", "1000", "1,000.00"), ("0.000012345678", "5", "0.00001235"), ("-1", "99.9", "-1.00000000"),
    ],
)  # fmt: skip
def test_money_is_rounded_for_people_by_how_much_there_is(value: str, equity: str, text: str) -> None:
    assert money(D(value), D(equity)) == text


def test_many_symbols_are_cut_to_the_ones_that_mattered() -> None:
    story = Story(cash="100000")
    for i in range(14):
        story.round_trip(f"S{i:02d}/USDT", exit_price=str(101 + i))
    text = to_text(reported(story))
    assert "S13/USDT" in text
    assert "S00/USDT" not in text
    assert "and 4 more symbols" in text
