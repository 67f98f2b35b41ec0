"""What does a start make of a journal that was pruned, and of one that has lost facts?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.engine.hand import INSTRUMENTS
from tests.engine.paper import PaperBot
from tests.engine.test_restart import picture, ran
from tests.runtime.test_pruned_journal import document_at, written
from tests.storage.journals import WAIT_S, open_journal
from tests.storage.test_journal_keeping import Told
from tests.storage.test_journal_pruning import damage_snapshots
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.engine.engine import Engine
from tradebot.runtime.opening import Opened, restore
from tradebot.storage.home import Home
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_pruning import DAY_MS, Keeping, prune


class Start:
    """A start at an exchange, in a home that a bot has left: what it restores, and what it tells."""

    def __init__(self, folder: Path, bot: PaperBot) -> None:
        self.bot = bot
        self.home = Home.open(folder, "prod")
        self.told = Told()
        self.facts = list(bot.journal.read(0))
        assert written(bot, self.home.journal).close(WAIT_S)

    def prune(self, held: int) -> None:
        journal = open_journal(self.home.journal)
        now_ms = self.facts[-1][1] + 9 * DAY_MS
        prune(journal, document_at(self.bot, held), Keeping(2, 10**9, archive=False), now_ms, lambda: False)
        assert journal.close(WAIT_S)

    def checkpoint(self, document: bytes) -> None:
        self.home.checkpoint.write_bytes(document)

    def run(self, **state: Any) -> Engine:
        journal = open_journal(self.home.journal)
        try:
            return self._restored(journal, state)
        finally:
            journal.close(WAIT_S)

    def _restored(self, journal: SqliteJournal, state: dict[str, Any]) -> Engine:
        at_home = self.bot.profile
        tables = {
            "venue": at_home.venue.model_copy(update={"kind": "ccxt"}),
            "state": at_home.state.model_copy(update=state),
        }
        profile = at_home.model_copy(update=tables)
        opened = Opened(self.home, journal, cast("Any", None), None, cast("Any", None), None)
        telling = cast("Any", SimpleNamespace(log=self.told, recorder=SimpleNamespace(restore=lambda *_: None)))
        clock = cast("Any", SimpleNamespace(now_ms=lambda: 1_800_000_000_000))
        engine, self.summary = restore(lambda: Engine(self.bot.profile, INSTRUMENTS), profile, opened, telling, clock)
        return engine


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr("tradebot.storage.journal_pruning.LEAST", 1)
    found = Start(tmp_path, ran(11, 75))
    yield found
    found.home.close()


def test_a_pruned_journal_alone_is_enough(start: Start) -> None:
    held = len(start.facts) // 2
    start.prune(held)
    assert picture(start.run()) == picture(start.bot.engine)
    assert f"{len(start.facts) - held:,} facts" in start.summary
    assert start.told.records == []


def test_without_crash_recovery_the_windows_are_empty(start: Start) -> None:
    start.prune(len(start.facts) // 2)
    assert picture(start.run(crash_recovery=False)) == picture(start.bot.engine)
    assert "0 price windows" in start.summary


def test_a_checkpoint_that_is_older_than_the_journals_first_fact_gives_way_to_the_snapshot(start: Start) -> None:
    start.prune(len(start.facts) // 2)
    start.checkpoint(document_at(start.bot, 3))
    assert picture(start.run()) == picture(start.bot.engine)
    assert [name for name, _ in start.told.records] == ["STATE_SET_ASIDE"]
    assert "have left the file" in start.told.records[0][1]


def test_a_damaged_snapshot_is_told_and_a_start_that_knows_nothing_else_is_refused(start: Start) -> None:
    start.prune(len(start.facts) // 2)
    damage_snapshots(start.home.journal, "")
    with pytest.raises(Exception, match="have left the file and are not in"):
        start.run()
    assert [name for name, _ in start.told.records] == ["JOURNAL_SNAPSHOT_DAMAGED"]
    start.checkpoint(document_at(start.bot, len(start.facts) - 1))
    assert picture(start.run()) == picture(start.bot.engine)


def test_a_journal_that_ends_before_the_checkpoint_has_lost_orders_and_is_refused_at_an_exchange(start: Start) -> None:
    whole = document_at(start.bot, len(start.facts))
    start.home.journal.unlink()
    short = open_journal(start.home.journal)
    for _, at_ms, fact in start.facts[:-4]:
        short.append([fact], at_ms)
    assert short.close(WAIT_S)
    start.checkpoint(whole)
    with pytest.raises(CannotStart, match="facts are lost") as refused:
        start.run()
    assert refused.value.exit_code is ExitCode.RECOVERY_REFUSED
    assert start.home.checkpoint.read_bytes() == whole, "nothing was moved: a person decides"
