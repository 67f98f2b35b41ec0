"""Does a session's report stand on its own run's facts, and say clearly when it cannot?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.research.facts import Story
from tests.research.sessions import journal, session
from tradebot.domain import facts as f
from tradebot.domain.errors import DataInvalid, StorageFailed
from tradebot.domain.orders import Side
from tradebot.research.sources import find_session, session_report, store
from tradebot.research.text import to_text
from tradebot.storage.files import set_aside
from tradebot.storage.session import Session

D = Decimal


def three_runs() -> Story:
    """The second run begins with a position of the first; the third only begins."""
    story = Story(run="r1")
    story.round_trip()
    story.filled_intent("AAA/USDT", Side.BUY, "100", "1", "0.1")
    story.tell(f.RunOpened(run="r2", generation=1))
    story.filled_intent("AAA/USDT", Side.SELL, "105", "1", "0.1")
    story.closed("AAA/USDT", cost="100.1", proceeds="104.9", fees="0.2")
    story.tell(f.RunOpened(run="r3", generation=1))
    story.filled_intent("BBB/USDT", Side.BUY, "1", "1")
    return story


def test_a_run_is_reported_from_its_first_fact_to_the_next_run(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    report = session_report(session(tmp_path, path, "r2"))
    summary = report.summary
    assert summary.initial_quote == D("909.7")
    assert summary.final_quote == D("1014.6")
    assert summary.pnl_quote == D("4.8")
    assert (summary.counts.trades, summary.counts.fills, summary.counts.intents) == (1, 1, 1)
    assert [trade.pnl for trade in report.trades] == [D("4.8")]
    assert {target.name: target.verdict for target in report.targets}["thread cleanup"] == "met"


def test_the_first_run_begins_with_the_account_and_ends_with_a_position(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    summary = session_report(session(tmp_path, path, "r1")).summary
    assert (summary.initial_quote, summary.final_quote) == (D(1000), D("909.7"))
    assert summary.held_cost_quote == D("100.1")
    assert summary.positions_held == 1


def test_a_killed_session_is_reported_all_the_same(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    report = session_report(session(tmp_path, path, "r3", ended=False))
    assert report.session.ended_ms is None
    assert report.summary.counts.fills == 1


def test_a_run_without_facts_says_so_instead_of_borrowing_another_runs(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    report = session_report(session(tmp_path, path, "r9"))
    assert "r9 has no fact in journal.sqlite3" in report.note
    assert report.summary.counts.fills == 0
    assert report.trades == ()


def test_failures_are_sought_in_the_order_log(tmp_path: Path) -> None:
    story = Story()
    number = story.intent("AAA/USDT", Side.BUY)
    client_id = story.order(number, "AAA/USDT", Side.BUY)
    story.tell(f.OrderRejected(client_id=client_id, symbol="AAA/USDT", side=Side.BUY, code="-2010", message="no"))
    path = journal(tmp_path / "journal.sqlite3", story.facts)
    told = ['{"event_type":"ORDER_REJECTED","level":"ERROR"}', '{"event_type":"CANCEL_REJECTED","level":"WARNING"}']
    report = session_report(session(tmp_path, path, "r1", logs=told))
    visible = next(target for target in report.targets if target.name == "failures visible")
    assert (visible.found, visible.verdict) == ("1 failures, 1 records", "met")
    unsent = session_report(session(tmp_path, path, "r1", logs=['{"event_type":"ORDER_NOT_SENT","level":"WARNING"}']))
    assert next(target for target in unsent.targets if target.name == "failures visible").verdict == "met"
    silent = session_report(session(tmp_path, path, "r1", logs=['{"event_type":"ORDER_REJECTED","level":"INFO"}']))
    assert next(target for target in silent.targets if target.name == "failures visible").verdict == "not met"


def test_a_stack_dump_in_the_folder_is_seen(tmp_path: Path) -> None:
    folder = session(tmp_path, journal(tmp_path / "journal.sqlite3", three_runs().facts), "r1")
    (folder / "stackdump.txt").write_text("thread 1")
    dumps = next(target for target in session_report(folder).targets if target.name == "stack dumps")
    assert (dumps.found, dumps.verdict) == ("1", "not met")


def test_a_stored_report_outlives_its_journal_and_is_judged_anew(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    folder = session(tmp_path, path, "r2")
    first = session_report(folder)
    store(first, folder)
    path.unlink()
    assert session_report(folder) == first
    (folder / "stackdump.txt").write_text("thread 1")
    assert session_report(folder).targets != first.targets
    assert (folder / "trades.csv").read_text().count("\n") == 2
    assert "profile demo" in (folder / "report.txt").read_text()


def test_a_session_without_journal_and_report_says_which_is_gone(tmp_path: Path) -> None:
    folder = session(tmp_path, tmp_path / "journal.sqlite3", "r1")
    with pytest.raises(DataInvalid, match=r"its journal .*journal\.sqlite3 is gone, and there is no report\.json"):
        session_report(folder)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    folder = session(tmp_path, tmp_path / "journal.sqlite3", "r1")
    with pytest.raises(StorageFailed, match=r"journal\.sqlite3"):
        session_report(folder)


def test_a_journal_inside_the_folder_moves_with_it(tmp_path: Path) -> None:
    folder = session(tmp_path, Path("journal.sqlite3"), "r1")
    journal(folder / "journal.sqlite3", three_runs().facts)
    moved = folder.rename(tmp_path / "elsewhere")
    assert session_report(moved).summary.counts.trades == 1


def test_sessions_are_found_by_path_by_name_and_as_the_latest(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    older, newer = session(tmp_path, path, "r1"), session(tmp_path, path, "r2")
    sessions = tmp_path / "sessions"
    assert find_session(str(older), sessions) == older
    assert find_session(older.name, sessions) == older
    assert find_session("latest", sessions) == newer
    with pytest.raises(DataInvalid, match="no session 'nothing'"):
        find_session("nothing", sessions)
    with pytest.raises(DataInvalid, match=r"no session 'latest': there is none in .*empty"):
        find_session("latest", tmp_path / "empty")


def test_the_latest_session_may_be_a_replay(tmp_path: Path) -> None:
    session(tmp_path, journal(tmp_path / "journal.sqlite3", three_runs().facts), "r1")
    sessions = tmp_path / "sessions"
    later_ms = 1_700_000_500_000
    replayed = Session.create(
        sessions,
        "r",
        later_ms,
        kind="replay",
        instance="replay",
        synthetic=False,
        money="paper money",
        link_latest=False,
    )
    replayed.close()
    assert find_session("latest", sessions) == replayed.folder


def test_a_refused_start_is_the_latest_only_where_no_run_goes_on(tmp_path: Path) -> None:
    def begun(now_ms: int) -> Session:
        return Session.create(
            tmp_path / "sessions", "demo", now_ms, kind="run", instance="demo", synthetic=False, money="play money"
        )

    running = begun(1_700_000_000_000)
    running.update(run="r1")
    refused = begun(1_700_000_001_000)
    assert find_session("latest", tmp_path / "sessions") == refused.folder, "it may begin yet"
    refused.close(exit_code=1)
    assert find_session("latest", tmp_path / "sessions") == running.folder
    running.close(exit_code=0)
    assert find_session("latest", tmp_path / "sessions") == refused.folder


def test_a_session_that_never_began_is_told_beside_the_others(tmp_path: Path) -> None:
    made = Session.create(
        tmp_path / "sessions",
        "demo",
        1_700_000_000_000,
        kind="run",
        instance="demo",
        synthetic=True,
        money="paper money",
    )
    made.close(ended_ms=1_700_000_000_100, exit_code=1)
    report = session_report(made.folder)
    assert report.summary.counts.intents == 0
    assert "exit 1" in to_text(report)
    assert "it ended before it had a journal: nothing was traded" in to_text(report)
    assert to_text(report).splitlines()[:2] == [
        f"session {made.folder.name} · profile demo · demo, never began",
        "synthetic market, paper money · SYNTHETIC: nothing of it is real",
    ]


def test_a_folder_that_is_no_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"not a session's folder"):
        session_report(tmp_path)


def test_a_run_is_found_in_the_journal_that_a_fresh_start_set_aside(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal.sqlite3", three_runs().facts)
    folder = session(tmp_path, path, "r2")
    assert set_aside(path, 1_700_000_000_000, tails=("-wal", "-shm")) is not None
    assert session_report(folder).summary.pnl_quote == D("4.8")
    journal(path, Story(run="other").facts)
    report = session_report(folder)
    assert report.summary.pnl_quote == D("4.8")
    assert report.note == ""


def test_what_was_compared_at_the_end_is_told_again_later(tmp_path: Path) -> None:
    folder = session(tmp_path, journal(tmp_path / "journal.sqlite3", three_runs().facts), "r1")
    held = {"USDT": D("909.7"), "AAA": D(1)}
    report = session_report(folder, {"AAA/USDT": 90.0}, {"the venue's account": held})
    assert report.summary.conservation_error == 0
    assert report.summary.compared == ("the PnL of the trades", "the venue's account")
    assert report.summary.equity_quote == D("999.7")
    store(report, folder)
    assert session_report(folder) == report
    assert {"report.txt", "report.json", "trades.csv"} <= {one.name for one in folder.iterdir()}
