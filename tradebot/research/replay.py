"""What would a profile have done with these recordings? One replay from load to report; asked by `tradebot replay`."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.config.loader import Loaded, load_profile
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.numbers import plain
from tradebot.domain.orders import Balance
from tradebot.feeds.candles import CandleRecording
from tradebot.feeds.gaps import Gap
from tradebot.feeds.recorded import load
from tradebot.feeds.recorded_events import EventRecording
from tradebot.research import report as reports
from tradebot.research.report import Report, SessionInfo
from tradebot.research.sources import info, store
from tradebot.research.targets import Evidence
from tradebot.research.trades import RunBook
from tradebot.runtime.simulated import ReplayResult, run_replay
from tradebot.storage.replay_journal import MemoryJournal, ReplayJournal
from tradebot.storage.retention import prune_sessions
from tradebot.storage.session import Session

JOURNAL = "journal.sqlite3"

OUTAGES_NAMED = 4
"""So many outages are named for people; the rest is a count."""

SYMBOLS_NAMED = 5
"""So many symbols without volume are named for people; the rest is a count."""

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all) now and then."""


class Request(Struct, frozen=True, kw_only=True):
    """What is to be replayed: `data` files or folders, times in ms UTC (`to_ms` exclusive), `symbols` None for all.

    Without `session` nothing is written: the journal stays in memory.
    """

    profile: str
    data: tuple[Path, ...]
    symbols: tuple[str, ...] | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    session: bool = True


class Replayed(Struct, frozen=True, kw_only=True):
    """A replay that has ended: its report, what it cost, and its session's folder, if it has one."""

    report: Report
    candles: int
    rows: int
    seconds: float
    cpu_seconds: float
    load_seconds: float
    peak_rss_mb: float
    journal_sha256: str
    folder: Path | None
    outages: tuple[Gap, ...] = ()  # when no symbol at all has a candle

    @property
    def candles_per_s(self) -> float:
        """Candles per second of the process's CPU in the run phase; loading is not in it."""
        return self.candles / self.cpu_seconds if self.cpu_seconds else 0.0

    def figures(self) -> dict[str, Any]:
        """Return what `tradebot replay --json` prints: counts, seconds, and money as exact Decimals."""
        summary, counts = self.report.summary, self.report.summary.counts
        return {
            "candles": self.candles,
            "seconds": round(self.seconds, 6),
            "cpu_seconds": round(self.cpu_seconds, 6),
            "load_seconds": round(self.load_seconds, 6),
            "candles_per_s": round(self.candles_per_s, 1),
            "trades": counts.trades,
            "fills": counts.fills,
            "orders": counts.orders,
            "intents": counts.intents,
            "fill_rate": counts.fill_rate,
            "pending_intents_max": counts.pending_max,
            "fees_quote": summary.fees_quote,
            "initial_quote": summary.initial_quote,
            "final_quote": summary.final_quote,
            "pnl_quote": summary.pnl_quote,
            "max_drawdown_pct": summary.max_drawdown_pct,
            "conservation_error": summary.conservation_error,
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "journal_sha256": self.journal_sha256,
        }


def replay(request: Request, progress: Progress) -> Replayed:
    """Load, run and report; with a session, write journal, report and trades into a new session folder.

    Raises ProfileInvalid, DataInvalid, CannotStart or StorageFailed, each naming what is wrong.
    """
    loaded = load_profile(request.profile)
    begun = time.perf_counter()
    recording = _load(loaded, request)
    load_s = time.perf_counter() - begun
    if not request.session:
        return _run(loaded, recording, MemoryJournal(), progress, load_s, None)
    profile = loaded.profile
    sessions = Path(profile.sessions.dir)
    session = Session.create(
        sessions,
        loaded.name,
        _now_ms(),
        kind="replay",
        instance=profile.bot.instance,
        synthetic=False,
        money="paper money",
        link_latest=False,
    )
    try:
        prune_sessions(
            sessions, keep=profile.sessions.keep, max_disk_mb=profile.sessions.max_disk_mb, current=session.folder
        )
        session.keep_profiles([Path(file.path) for file in loaded.files])
        session.update(journal=JOURNAL)
        journal = ReplayJournal.create(session.folder / JOURNAL)
        try:
            done = _run(loaded, recording, journal, progress, load_s, session)
        finally:
            journal.close()
        store(done.report, session.folder)
        session.close(ended_ms=done.report.session.ended_ms, exit_code=0)
    finally:
        session.close(ended_ms=_now_ms())
    return done


def _load(loaded: Loaded, request: Request) -> CandleRecording | EventRecording:
    profile = loaded.profile
    symbols = request.symbols or profile.market.symbols or None
    recording = load(request.data, symbols, profile.market.quote, request.from_ms, request.to_ms, profile.feed.recorded)
    recording.instruments(profile.venue.paper.min_notional)  # read off the prices once: part of loading
    return recording


def _run(
    loaded: Loaded,
    recording: CandleRecording | EventRecording,
    journal: MemoryJournal | ReplayJournal,
    progress: Progress,
    load_s: float,
    session: Session | None,
) -> Replayed:
    profile = loaded.profile
    book = RunBook()
    started_ms = _now_ms()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_replay(
        profile, recording, journal=journal, recorder=book, mark=book.tally.mark_prices, progress=progress
    )
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    market = _market(recording, profile.feed.recorded)
    if session is None:
        origin = SessionInfo(
            name="not kept",
            kind="replay",
            profile=loaded.name,
            run=result.run,
            instance=profile.bot.instance,
            started_ms=started_ms,
            market=market,
        )
    else:
        origin = info(session.folder, session.update(run=result.run), market)
    origin.ended_ms, origin.exit_code = _now_ms(), 0
    report = _report(origin, book, result)
    report.summary.from_ms, report.summary.to_ms = recording.first_ms, recording.last_ms
    report.note = "\n".join(_limits(recording, profile.feed.recorded, result, report))
    return Replayed(
        report=report,
        candles=recording.candles if isinstance(recording, CandleRecording) else 0,
        rows=result.rows,
        seconds=wall_s,
        cpu_seconds=cpu_s,
        load_seconds=load_s,
        peak_rss_mb=peak_rss_mb(),
        journal_sha256=journal.digest(),
        folder=None if session is None else session.folder,
        outages=recording.outages if isinstance(recording, CandleRecording) else (),
    )


def _report(origin: SessionInfo, book: RunBook, result: ReplayResult) -> Report:
    """Return the report, the fills compared with what the engine's ledger and the venue's account hold at the end."""
    balances = {
        "the engine's ledger": result.ledger.owned(),
        "the venue's account": totals(result.balances),
    }
    summary = book.tally.summary(result.prices, balances)
    return reports.build(origin, summary, Evidence(), tuple(book.trades))


def _limits(
    recording: CandleRecording | EventRecording, settings: RecordedFeed, result: ReplayResult, report: Report
) -> Iterator[str]:
    """Yield why the recording itself kept trades from happening, in the lines a person reads."""
    silent = recording.silent if isinstance(recording, CandleRecording) else ()
    if silent and settings.shown_size == "volume_share":
        names = ", ".join(silent[:SYMBOLS_NAMED])
        more = f" and {len(silent) - SYMBOLS_NAMED} more" if len(silent) > SYMBOLS_NAMED else ""
        yield f"no volume was recorded of {names}{more}: nothing was there to be bought or sold"
    if result.cold_s and not report.summary.counts.intents:
        span_s = (recording.last_ms - recording.first_ms) / 1000
        if span_s < result.cold_s:
            had = f"ever warm: it needs {result.cold_s:g} s of prices, the recording has {span_s:g} s"
        else:
            had = f"warm at the end: it needs {result.cold_s:g} s of prices without a long gap"
        yield f"no symbol's price window was {had}; a cold one buys nothing"


def totals(balances: Mapping[str, Balance]) -> dict[str, Decimal]:
    """Return free and locked together, by asset."""
    return {asset: balance.total for asset, balance in balances.items()}


def text(done: Replayed) -> str:
    """Return what the replay cost and where it is kept, for people."""
    rows = f"{done.candles:,} candles" if done.candles else f"{done.rows:,} recorded rows"
    speed = f" · {done.candles_per_s:,.0f} candles/s of CPU" if done.candles else ""
    lines = [
        f"{rows} in {done.seconds:.1f} s ({done.cpu_seconds:.1f} s of CPU){speed}",
        f"loaded in {done.load_seconds:.1f} s · at most {done.peak_rss_mb:,.0f} MB",
        f"journal {done.journal_sha256}",
    ]
    if done.outages:
        spans = ", ".join(f"{_minute(one.from_ms)} to {_minute(one.to_ms)}" for one in done.outages[:OUTAGES_NAMED])
        more = f" and {len(done.outages) - OUTAGES_NAMED} more" if len(done.outages) > OUTAGES_NAMED else ""
        lines.append(f"outages in the recording, nothing is made up for them: {spans}{more}")
    if done.folder is not None:
        lines.append(f"kept in {done.folder}")
    return "\n".join(lines)


def _minute(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%m-%d %H:%M}"


def _market(recording: CandleRecording | EventRecording, settings: RecordedFeed) -> str:
    """Return in words what was recorded and what was laid around it."""
    spread = f"synthetic spread of {plain(settings.spread_bps)} bps" if settings.spread_bps else "no spread"
    if isinstance(recording, CandleRecording):
        return f"recorded candles, {spread}, paper money"
    return f"recorded events, {spread} around trades without quotes, paper money"


def peak_rss_mb() -> float:
    """Return the most memory this process ever held, in 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
