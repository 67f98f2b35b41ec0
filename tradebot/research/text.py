"""How does a report read? Short aligned lines in the trade's own words; asked by the command line and the run's end."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from tradebot.domain.figures import Counts, Movement, Summary, SymbolSummary
from tradebot.domain.numbers import plain
from tradebot.research.report import Report, SessionInfo, Total
from tradebot.research.targets import Target, percent
from tradebot.research.trades import iso

SYMBOL_ROWS = 10  # the report's text stays on one screen; report.json holds every symbol
COLUMNS = 80  # of the narrowest terminal that is in use

_KINDS = {"run": "session", "replay": "replay"}


def to_text(report: Report) -> str:
    """Return the report for people, without a closing line break: of a session that never began, its name card."""
    if not report.summary.quote:
        return _head(report)
    blocks = [_head(report), _figures(report.summary), _symbols(report.summary), _targets(report.targets)]
    return "\n\n".join(block for block in blocks if block)


def total_text(total: Total) -> str:
    """Return several sessions' total for people, without a closing line break."""
    counts, quote, most = total.counts, total.quote, total.equity_quote
    rows = [
        ("PnL", f"{money(total.pnl_quote, most)} {quote}", "closed trades, fees included"),
        ("fees", f"{money(total.fees_quote, most)} {quote}", ""),
        *_activity(counts),
        ("worst drawdown", f"{total.max_drawdown_pct:.2f} %", "of any one session"),
    ]
    return f"total of {total.sessions} sessions in {quote}\n\n" + _aligned(rows)


def money(value: Decimal, equity: Decimal) -> str:
    """Return `value` rounded for people, thousands parted: 2 decimals, or 8 where all there is, is below 100 quote."""
    places = Decimal("0.01") if equity >= 100 else Decimal("1E-8")
    rounded = value.quantize(places, rounding=ROUND_HALF_EVEN)
    return f"{rounded or abs(rounded):,f}"  # never -0.00


def _head(report: Report) -> str:
    session = report.session
    kind = _KINDS.get(session.kind, session.kind)
    run = f"{session.instance}-{session.run}" if session.run else f"{session.instance}, never began"
    lines = [f"{kind} {session.name} · profile {session.profile} · {run}"]
    if session.market:
        lines.append(f"{session.market}{' · SYNTHETIC: nothing of it is real' if session.synthetic else ''}")
    lines.append(_when(session, report.summary))
    if report.note:
        lines.append(report.note)
    return "\n".join(lines)


def _when(session: SessionInfo, summary: Summary) -> str:
    if session.kind == "replay" and summary.quote:
        return f"{_day(summary.from_ms)} → {_day(summary.to_ms)} UTC · {_span(summary.to_ms - summary.from_ms)}"
    begun = f"{_day(session.started_ms)} → "
    if session.ended_ms is None and not summary.quote:
        return f"began {_day(session.started_ms)} UTC\nno end was written: it still runs, or was killed"
    if session.ended_ms is None:
        return f"{begun}{_day(summary.to_ms)} UTC, its last fact\nno end was written: it still runs, or was killed"
    end = f"{begun}{_day(session.ended_ms)} UTC · {_span(session.ended_ms - session.started_ms)}"
    return end if session.exit_code is None else f"{end} · exit {session.exit_code}"


def _day(at_ms: int) -> str:
    return iso(at_ms, "seconds").replace("T", " ").removesuffix("Z")


def _span(ms: int) -> str:
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _figures(summary: Summary) -> str:
    def told(amount: Decimal) -> str:
        return money(amount, summary.equity_initial_quote)

    quote = summary.quote
    parts = [
        ("PnL", f"{told(summary.pnl_quote)} {quote}", "closed trades, fees included"),
        *_movement(summary),
        *_adopted(summary),
    ]
    moved = f", moved {told(summary.equity_quote - summary.equity_initial_quote)}"
    named = f": {' + '.join(name for name, _, _ in parts)}"
    began = f"began with {told(summary.equity_initial_quote)}{moved}{named if summary.movement else ''}"
    rows = [
        *parts,
        ("equity", f"{told(summary.equity_quote)} {quote}", began),
        ("balance", f"{told(summary.final_quote)} {quote}", f"began with {told(summary.initial_quote)}"),
        ("fees", f"{told(summary.fees_quote)} {quote}", ""),
        ("drawdown", f"{summary.max_drawdown_pct:.2f} %", "largest fall of the equity"),
        ("exposure", percent(summary.exposure_mean), f"on average, {percent(summary.exposure_max)} at most"),
        *_activity(summary.counts),
        ("conserved", *_conserved(summary)),
    ]
    return _aligned(rows)


def _movement(summary: Summary) -> list[tuple[str, str, str]]:
    """Return what moved the equity besides closed trades and adoptions: open trades, dust, what was open before."""

    def told(amount: Decimal) -> str:
        return money(amount, summary.equity_initial_quote)

    movement, quote = summary.movement, summary.quote
    if movement is None:
        held = summary.held_value_quote - summary.held_cost_quote
        return [("open", f"{told(held)} {quote}", "with all dust, as older versions told it")]
    rows = [("open", f"{told(movement.open_quote)} {quote}", _held_words(summary, movement))]
    if movement.dust_quote or movement.dust_value_quote:
        rows.append(("dust", f"{told(movement.dust_quote)} {quote}", _dust_words(movement, told)))
    if movement.open_before_quote:
        words = "was open before this run began, and is in PnL or open now"
        rows.append(("before", f"{told(-movement.open_before_quote)} {quote}", words))
    return rows


def _dust_words(movement: Movement, told: Callable[[Decimal], str]) -> str:
    gone = movement.dust_adopted_quote
    went = f"; {told(gone)} of it went by hand, in no trade's PnL" if gone else ""
    return f"left by closed trades, worth {told(movement.dust_value_quote)} now{went}"


def _adopted(summary: Summary) -> list[tuple[str, str, str]]:
    """Return what came or went by hand and was adopted, apart from the trades; nothing where nothing was."""
    count = summary.counts.adoptions
    if not count:
        return []
    worth = f"{money(summary.adopted_quote, summary.equity_initial_quote)} {summary.quote}"
    return [
        ("adopted", worth, f"came or went by hand, in {count} {'booking' if count == 1 else 'bookings'}, no trades")
    ]


def _held_words(summary: Summary, movement: Movement) -> str:
    positions, equity = summary.positions_held, summary.equity_initial_quote
    if not positions:
        return "nothing held"
    worth, cost = summary.held_value_quote - movement.dust_value_quote, summary.held_cost_quote
    taken = movement.open_quote - (worth - cost)
    what = f"{positions} {'position' if positions == 1 else 'positions'}"
    sold = f", and {money(taken, equity)} by what of them is sold" if money(taken, equity).strip("-0.") else ""
    return f"{what} worth {money(worth, equity)} that cost {money(cost, equity)}{sold}"


def _conserved(summary: Summary) -> tuple[str, str]:
    error = summary.conservation_error
    if error is None:
        return "not checked", "nothing to compare the fills with"
    others = ", ".join(summary.compared)
    if not error:
        return "yes", f"the fills agree to the last unit with {others}"
    return "NO", f"the fills differ by {plain(error)} from {others}"


def _activity(counts: Counts) -> list[tuple[str, str, str]]:
    won = f"{counts.wins:,} won, {counts.losses:,} lost" if counts.trades else ""
    failed = [
        (counts.orders_rejected, "rejected"),
        (counts.orders_timed_out, "timed out"),
        (counts.orders_unknown, "unknown for a while"),
        (counts.orders_never_sent, "taken back unsent"),
    ]
    rate = counts.fill_rate
    filled = "none sent" if rate is None else f"{counts.intents_sent:,} sent, {percent(rate)} filled"
    stale = f", {counts.intents_stale:,} stale" if counts.intents_stale else ""
    return [
        ("trades", f"{counts.trades:,}", won),
        ("intents", f"{counts.intents:,}", f"{filled}, {counts.pending_max} buys under way at most{stale}"),
        ("orders", f"{counts.orders:,}", ", ".join(f"{n:,} {what}" for n, what in failed if n)),
        ("fills", f"{counts.fills:,}", ""),
    ]


def _aligned(rows: Iterable[tuple[str, str, str]]) -> str:
    rows = list(rows)
    names, values = (max(len(row[i]) for row in rows) for i in (0, 1))
    margin = 2 + names + 2 + values + 3
    lines = []
    for name, value, words in rows:
        first, *more = textwrap.wrap(words, COLUMNS - margin, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append(f"  {name:<{names}}  {value:>{values}}   {first}".rstrip())
        lines += [" " * margin + line for line in more]
    return "\n".join(lines)


def _symbols(summary: Summary) -> str:
    rows = sorted(summary.symbols, key=lambda row: (-abs(row.pnl), -row.held_value, row.symbol))
    if not rows:
        return ""
    shown = rows[:SYMBOL_ROWS]
    table: list[Sequence[str]] = [("symbol", "trades", "won", "fills", "bought", "fees", "PnL", "held")]
    table += [_symbol(row, summary.equity_initial_quote) for row in shown]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "  " + "  ".join(f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}" for i, (cell, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in table)
    ]
    if len(rows) > len(shown):
        more = len(rows) - len(shown)
        lines.append(f"  and {more} more {'symbol' if more == 1 else 'symbols'}")
    return "\n".join(lines)


def _symbol(row: SymbolSummary, equity: Decimal) -> Sequence[str]:
    amounts = (row.bought, row.fees, row.pnl, row.held_value)
    return (
        row.symbol,
        f"{row.trades:,}",
        f"{row.wins:,}",
        f"{row.fills:,}",
        *(money(amount, equity) for amount in amounts),
    )


def _targets(targets: Sequence[Target]) -> str:
    head: list[Sequence[str]] = [("target", "wanted", "", "found")]
    table = head + [(target.name, target.wanted, target.verdict, target.found) for target in targets]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    return "\n".join(
        "  " + "  ".join((*(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)), line[3])).rstrip()
        for line in table
    )
