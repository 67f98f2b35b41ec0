"""How did a session go? Figures, targets and trades in one record; asked by `report`, `replay` and a run at its end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain.errors import DataInvalid
from tradebot.domain.figures import Counts, Summary
from tradebot.domain.numbers import ZERO, plain
from tradebot.research.targets import Evidence, Target, judge
from tradebot.research.trades import Trade

REPORT_JSON, REPORT_TEXT, TRADES_CSV = "report.json", "report.txt", "trades.csv"


class SessionInfo(Struct, kw_only=True):
    """Which session a report is about. Times in ms UTC; `ended_ms` and `exit_code` are None until it has ended.

    `market` says in words where prices came from; `synthetic` that they were made up.
    """

    name: str
    kind: str
    profile: str
    run: str
    instance: str
    started_ms: int
    ended_ms: int | None = None
    exit_code: int | None = None
    market: str = ""
    synthetic: bool = False
    folder: str = ""


class Report(Struct, kw_only=True):
    """A session's report: `note` says what limits it (no journal any more, a session that was killed)."""

    session: SessionInfo
    summary: Summary
    targets: tuple[Target, ...]
    trades: tuple[Trade, ...] = ()
    note: str = ""


class Total(Struct, kw_only=True):
    """Several sessions of one quote currency together; the worst drawdown and the largest first equity of any one."""

    quote: str
    sessions: int
    equity_quote: Decimal
    counts: Counts
    pnl_quote: Decimal
    fees_quote: Decimal
    max_drawdown_pct: float


def build(
    session: SessionInfo, summary: Summary, evidence: Evidence, trades: tuple[Trade, ...] = (), note: str = ""
) -> Report:
    """Return the report of `summary`, its targets judged."""
    return Report(session=session, summary=summary, targets=judge(summary, evidence), trades=trades, note=note)


def totals(reports: list[Report]) -> list[Total]:
    """Return one total a quote currency, in the order in which the currencies first come.

    Sessions that never began have no currency, and count in none.
    """
    found: dict[str, Total] = {}
    for report in reports:
        part = report.summary
        if not part.quote:
            continue
        total = found.get(part.quote)
        if total is None:
            total = found[part.quote] = Total(
                quote=part.quote,
                sessions=0,
                equity_quote=ZERO,
                counts=Counts(),
                pnl_quote=ZERO,
                fees_quote=ZERO,
                max_drawdown_pct=0.0,
            )
        total.sessions += 1
        total.equity_quote = max(total.equity_quote, part.equity_initial_quote)
        total.counts = total.counts.plus(part.counts)
        total.pnl_quote += part.pnl_quote
        total.fees_quote += part.fees_quote
        total.max_drawdown_pct = max(total.max_drawdown_pct, part.max_drawdown_pct)
    return list(found.values())


def to_json(value: Any) -> bytes:
    """Return `value` (structs, dicts, sequences) as one JSON object; each Decimal a number with all its digits."""
    return msgspec.json.encode(_numbers(msgspec.to_builtins(value, builtin_types=(Decimal,))))


def _numbers(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(plain(value).encode())
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return value


def as_dict(report: Report) -> dict[str, Any]:
    """Return what `report --json` prints of one session: the report with its rates, without the single trades."""
    told: dict[str, Any] = msgspec.to_builtins(report, builtin_types=(Decimal,))
    del told["trades"]
    told["summary"]["fill_rate"] = report.summary.counts.fill_rate
    told["summary"]["balance_failure_rate"] = report.summary.counts.balance_failure_rate
    return told


def read(path: Path) -> Report:
    """Return the report stored at `path`. Raises DataInvalid naming the file where it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise DataInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise DataInvalid(f"{path}: not a session's report: {error}") from error
