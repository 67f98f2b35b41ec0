"""Where do a session's figures come from? Its folder, the journal it names, its logs; asked by the reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct

from tradebot.domain.errors import DataInvalid, StorageFailed
from tradebot.domain.facts import (
    NOT_SENT,
    Fact,
    OrderBecameUnknown,
    OrderNeverSent,
    OrderRejected,
    OrderWaitEnded,
    RunOpened,
)
from tradebot.engine.picture import state_of
from tradebot.research import report as reports
from tradebot.research.report import REPORT_JSON, REPORT_TEXT, TRADES_CSV, Report, SessionInfo
from tradebot.research.targets import Evidence, judge
from tradebot.research.text import to_text
from tradebot.research.trades import RunBook, iso, to_csv
from tradebot.storage.files import reason, write_atomic
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_pruning import lost_until, read_snapshot
from tradebot.storage.session import SessionRecord, in_use, never_began, read_session

_FAILURES = {fact.event_type for fact in (OrderRejected, OrderWaitEnded, OrderBecameUnknown, OrderNeverSent)}
_FAILURES |= {NOT_SENT}
_TOLD = {"WARNING", "ERROR"}
_UNBEGUN = "it ended before it had a journal: nothing was traded, logs/events_*.jsonl tells why"


class _Line(Struct):
    event_type: str = ""
    level: str = ""


_line = msgspec.json.Decoder(_Line)


def find_session(name: str, sessions: Path) -> Path:
    """Return the folder of the session `name`: a path, a name in `sessions`, or "latest", a run's or a replay's.

    A start that was refused is the latest only where no run goes on that began before it.

    Raises DataInvalid naming what was looked for.
    """
    if name == "latest":
        return _newest(sessions)
    wanted = [Path(name), sessions / name]
    for folder in wanted:
        if folder.is_dir():
            return folder.resolve()
    looked = " nor ".join(str(folder) for folder in wanted)
    raise DataInvalid(f"no session {name!r}: there is no folder {looked}")


def _newest(sessions: Path) -> Path:
    """Return the folder of the session that began last: their names begin with that time."""
    found = sorted((record.parent for record in sessions.glob("*/session.json")), key=lambda one: one.name)
    if not found:
        raise DataInvalid(f"no session 'latest': there is none in {sessions}")
    newest = found[-1]
    if never_began(newest):
        newest = next(filter(in_use, reversed(found)), newest)
    return newest.resolve()


def session_report(
    folder: Path,
    prices: Mapping[str, float] | None = None,
    balances: Mapping[str, Mapping[str, Decimal]] | None = None,
) -> Report:
    """Return the report of the session in `folder`, ended or not.

    A report stored there already is told again, its targets judged anew; else the journal is counted. `prices` and
    `balances` are as in `Tally.summary`. Raises DataInvalid or StorageFailed naming the file that cannot be used.
    """
    if not (folder / "session.json").is_file():
        raise DataInvalid(f"{folder}: not a session's folder, there is no session.json in it")
    record = read_session(folder)
    evidence = gather(folder, record)
    stored = folder / REPORT_JSON
    if stored.is_file():
        report = reports.read(stored)
        return msgspec.structs.replace(report, targets=judge(report.summary, evidence))
    book, note = _counted(_journals(folder, record), record.run) if record.journal else (RunBook(), _UNBEGUN)
    return reports.build(info(folder, record), book.tally.summary(prices, balances), evidence, tuple(book.trades), note)


def info(folder: Path, record: SessionRecord, market: str = "") -> SessionInfo:
    """Return what a report says of where it comes from."""
    return SessionInfo(
        name=folder.name,
        kind=record.kind,
        profile=record.profile,
        run=record.run,
        instance=record.instance,
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
        exit_code=record.exit_code,
        market=market or ", ".join(filter(None, ("synthetic market" if record.synthetic else "", record.money))),
        synthetic=record.synthetic,
    )


def store(report: Report, folder: Path) -> None:
    """Write report.json, report.txt and trades.csv into the session's folder. Raises StorageFailed."""
    write_atomic(folder / TRADES_CSV, to_csv(report.trades).encode(), durable=False)
    write_atomic(folder / REPORT_TEXT, (to_text(report) + "\n").encode(), durable=False)
    write_atomic(folder / REPORT_JSON, reports.to_json(report) + b"\n", durable=False)


# -- the journal ----------------------------------------------------------------------------------


def _journals(folder: Path, record: SessionRecord) -> list[Path]:
    """Return the files the run's facts may stand in: the journal that the session names, and older ones set aside.

    A relative name is seen from where we stand, then from the session's folder.
    """
    for path in (Path(record.journal), folder / record.journal, folder / Path(record.journal).name):
        aside = sorted(path.parent.glob(f"{path.name}.*"), reverse=True)
        found = [one for one in (path, *aside) if one.is_file() and not one.name.endswith(("-wal", "-shm"))]
        if found:
            return found
    raise DataInvalid(f"{folder}: its journal {record.journal} is gone, and there is no {REPORT_JSON}")


def _counted(paths: list[Path], run: str) -> tuple[RunBook, str]:
    """Return the run's book from the first journal that has the run, and a note where none has."""
    for path in paths:
        found = _book(path, run)
        if found is not None:
            return found
    if lost := lost_until(paths[0]):
        gone = f"facts up to {lost:,} have left {paths[0].name} and are in no archive"
        return RunBook(), f"run {run or 'without a name'} has no fact that is left ({gone}): nothing can be told of it"
    return RunBook(), f"run {run or 'without a name'} has no fact in {paths[0].name}: it ended before it could trade"


def _book(path: Path, run: str) -> tuple[RunBook, str] | None:
    """Return the run's book and a note, or None: facts before it make its opening state, the next run ends it.

    Where the first facts are gone, the journal's own snapshot is the opening state; the note says what of the run's
    figures is therefore missing, "" where nothing is.
    """
    book = RunBook()
    inside, note, after = False, "", 0
    document = read_snapshot(path).document if lost_until(path) else None
    if document is not None:
        state = state_of(document)
        book.tally.take_over(state.ledger, state.intents.values(), state.orders.values())
        after, inside = state.seq, state.run == run
        if inside:
            book.begin(int(document["at_ms"]))
            since = iso(int(document["at_ms"]), "seconds")
            note = f"facts up to {after:,} have left the journal and are in no archive: it is told from {since} on only"
    for at_ms, fact in _facts(path, after):
        if type(fact) is RunOpened:
            if inside:
                break
            if fact.run == run:
                inside = True
                book.begin(at_ms)
        book.record((fact,), at_ms)
    return (book, note) if inside else None


def _facts(path: Path, after: int) -> Iterator[tuple[int, Fact]]:
    return ((at_ms, fact) for _, at_ms, fact in read_facts(path, after))


# -- what the folder tells ------------------------------------------------------------------------


def gather(folder: Path, record: SessionRecord) -> Evidence:
    """Return what logs, dumps and the record of the end tell; a replay leaves no such traces."""
    if record.kind == "replay":
        return Evidence()
    cleaned = record.shutdown.get("threads_cleaned_pct")
    return Evidence(
        failure_records=_failure_records(folder / "logs"),
        stack_dumps=len(list(folder.glob("stackdump*.txt"))),
        threads_cleaned_pct=float(cleaned) if isinstance(cleaned, int | float) else None,
    )


def _failure_records(logs: Path) -> int:
    """Count the orders' WARNING and ERROR records about failures, wherever split logging (or its absence) put them."""
    files = sorted(logs.glob("orders*.jsonl*")) or sorted(logs.glob("*.jsonl*"))
    count = 0
    for path in files:
        try:
            with path.open("rb") as lines:
                count += sum(map(_is_failure, lines))
        except OSError as error:
            raise StorageFailed(f"{path}: cannot be read ({reason(error)})") from error
    return count


def _is_failure(line: bytes) -> bool:
    if b"WARNING" not in line and b"ERROR" not in line:
        return False
    try:
        record = _line.decode(line)
    except msgspec.DecodeError:  # the last line of a killed session may be cut; it is no visible record
        return False
    return record.event_type in _FAILURES and record.level in _TOLD
