"""How does a session's folder look? Real folders with a real journal, for the tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.research.facts import Timed
from tradebot.storage.replay_journal import ReplayJournal
from tradebot.storage.session import Session


def journal(path: Path, facts: Timed) -> Path:
    """Write `facts` as a journal file, by the writer of the product."""
    writer = ReplayJournal.create(path)
    for at_ms, fact in facts:
        writer.append([fact], at_ms)
    writer.close()
    return path


def session(tmp: Path, path: Path, run: str, *, ended: bool = True, logs: Sequence[str] = ()) -> Path:
    """Make the folder of one run of the journal at `path`; `logs` are lines of its order log."""
    made = Session.create(
        tmp / "sessions", "demo", 1_700_000_000_000, kind="run", instance="demo", synthetic=True, money="paper money"
    )
    made.update(run=run, journal=str(path))
    if logs:
        (made.logs / "orders.jsonl").write_text("\n".join(logs))
    if ended:
        made.close(ended_ms=1_700_000_090_000, exit_code=0, shutdown={"threads_cleaned_pct": 100})
    else:
        made.close()
    return made.folder
