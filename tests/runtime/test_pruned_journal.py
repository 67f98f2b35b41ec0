"""Is the state from a pruned journal the state from the whole one, with a checkpoint and without?"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.hand import INSTRUMENTS
from tests.engine.paper import PaperBot
from tests.engine.test_restart import picture, ran
from tests.research.sessions import session
from tests.storage.journals import WAIT_S, open_journal
from tradebot.domain.facts import RunOpened
from tradebot.engine.engine import Engine
from tradebot.engine.picture import Restored
from tradebot.research.sources import session_report
from tradebot.research.trades import RunBook
from tradebot.storage import journal_pruning
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_pruning import DAY_MS, Keeping, prune, read_snapshot
from tradebot.storage.journal_salvage import pruned_of


def written(bot: PaperBot, path: Path) -> SqliteJournal:
    """Return a journal file with every fact of the bot."""
    journal = open_journal(path)
    for _, at_ms, fact in bot.journal.read(0):
        journal.append([fact], at_ms)
    assert journal.flush(WAIT_S)
    return journal


def document_at(bot: PaperBot, seq: int) -> bytes:
    """Return the checkpoint that holds the bot's first `seq` facts."""
    engine = Engine(bot.profile, INSTRUMENTS)
    engine.restore(None, ((at, ms, fact) for at, ms, fact in bot.journal.read(0) if at <= seq))
    return assemble(engine.core_picture(), [(name, engine.window_picture(name)) for name in engine.symbols])


def taken_back(bot: PaperBot, journal: SqliteJournal, document: bytes | None) -> tuple[Engine, Restored]:
    """Return an engine restored from the file: from a checkpoint, or None for what the journal itself says."""
    engine = Engine(bot.profile, INSTRUMENTS)
    found = msgspec.json.decode(document) if document is not None else read_snapshot(journal.path).document
    return engine, engine.restore(found, journal.read(int(found["seq"]) if found else 0))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3))
def test_a_pruned_journal_says_what_the_whole_one_says(seed: int, prunings: list[tuple[float, float]]) -> None:
    bot = ran(seed, 75)
    facts = list(bot.journal.read(0))
    wanted = picture(bot.engine)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_pruning, "LEAST", 1)
        journal = written(bot, Path(folder) / "journal.sqlite")
        held = 0
        for until, reach in prunings:
            held = max(held, round(reach * len(facts)))
            now_ms = facts[round(until * (len(facts) - 1))][1] + 2 * DAY_MS
            document = document_at(bot, held)
            prune(journal, document, Keeping(2, 10**9, archive=True), now_ms, lambda: False)
            assert pruned_of(journal.path) <= held
            assert picture(taken_back(bot, journal, document)[0]) == wanted
            assert picture(taken_back(bot, journal, None)[0]) == wanted
            assert list(read_facts(journal.path)) == facts
        assert journal.close(WAIT_S)


def test_a_report_needs_the_facts_of_its_run_alone_and_says_since_when_where_they_are_gone(tmp_path: Path) -> None:
    bot = ran(7, 75)
    facts = list(bot.journal.read(0))
    opened = {seq: fact.run for seq, _, fact in facts if isinstance(fact, RunOpened)}
    begun, run = max(opened.items())
    first = opened[min(opened)]
    assert run != first
    journal = written(bot, tmp_path / "journal.sqlite")
    folder = session(tmp_path, journal.path, run)
    whole = session_report(folder)
    assert whole.summary.counts.fills
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_pruning, "LEAST", 1)
        keeping = Keeping(2, 10**9, archive=False)
        later_ms = facts[begun - 2][1] + 2 * DAY_MS
        prune(journal, document_at(bot, begun - 1), keeping, later_ms, lambda: False)
        assert pruned_of(journal.path) > 0
        report = session_report(folder)
        assert (report.summary.counts, report.trades, report.note) == (whole.summary.counts, whole.trades, "")
        for figure in ("initial_quote", "final_quote", "pnl_quote", "fees_quote", "conservation_error"):
            assert getattr(report.summary, figure) == getattr(whole.summary, figure), figure
        lost = session_report(session(tmp_path, journal.path, first))
        assert "has no fact that is left" in lost.note
        held = begun + (len(facts) - begun) // 2
        prune(journal, document_at(bot, held), keeping, facts[held - 1][1] + 2 * DAY_MS, lambda: False)
        part = session_report(folder)
    assert "are in no archive: it is told from " in part.note
    assert part.summary.final_quote == whole.summary.final_quote
    assert set(part.trades) <= set(whole.trades)
    assert journal.close(WAIT_S)


def test_a_report_counts_facts_that_have_left_the_file(tmp_path: Path) -> None:
    bot = ran(7, 75)
    facts = list(bot.journal.read(0))
    journal = written(bot, tmp_path / "journal.sqlite")

    def told() -> object:
        book = RunBook()
        for _, at_ms, fact in read_facts(journal.path):
            book.record((fact,), at_ms)
        return book.tally.summary()

    before = told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_pruning, "LEAST", 1)
        last = len(facts)
        keeping = Keeping(2, 10**9, archive=True)
        prune(journal, document_at(bot, last), keeping, facts[-1][1] + 9 * DAY_MS, lambda: False)
    assert pruned_of(journal.path) == last
    assert told() == before
    assert journal.close(WAIT_S)
