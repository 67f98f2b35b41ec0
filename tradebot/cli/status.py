"""How is the running bot? Asked by `tradebot status`: a few lines, what is unusual only where it is so."""

from __future__ import annotations

import argparse

import msgspec

from tradebot.cli.asking import ask
from tradebot.cli.finding import add_bot_arguments, running_bot
from tradebot.cli.holdings import holding_rows
from tradebot.cli.pending import beyond_reason, pending_id
from tradebot.cli.words import by, many, on_off, show, signed, span, table, utc
from tradebot.domain.drift_rows import drift_rows
from tradebot.domain.fence_words import damaged_words, fence_rows, journal_words
from tradebot.domain.profile_words import files_words
from tradebot.domain.views import OutcomeView, ProfileView, Snapshot, StatusView, SwitchView

LEAVING = "market.symbols"
"""The gate of a symbol that the profile does not name any more: what is held of it is sold, nothing is bought."""

FAULTS = 3
"""So many faults of a rejected edit are told; more are counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the format."""
    parser.add_argument("--json", action="store_true", help="everything, for machines: the status and all it sums up")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the status. Raises as the client does."""
    shown = ask(running_bot(args), lambda bot: bot.snapshot())
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
        return 0
    show(headline(shown.status))
    lines, column = table(status_rows(shown))
    for line in lines:
        show(line, hang=0 if line.startswith(" ") else column)
    return 0


def status_rows(shown: Snapshot) -> list[tuple[str, str]]:
    """Return the status below its headline as (head, text) rows."""
    status = shown.status
    errors = f"{many(status.errors, 'error')}, {many(status.warnings, 'warning')} · {status.session}"
    return [
        *_journal(status),
        ("market", _market(shown)),
        *holding_rows(shown),
        ("result", _result(status)),
        *_halted(status),
        *fence_rows(status.venue_state, status.halted, status.stopped, status.at_ms),
        *drift_rows(status.drift, status.rival),
        *_profile(status.profile, status.at_ms),
        ("log", errors),
    ]


def _journal(status: StatusView) -> list[tuple[str, str]]:
    rows = []
    if status.journal_failed:
        rows.append(("journal", journal_words(status.journal_failed, status.at_ms, status.journal_failed_ms)))
    if status.journal_damaged:
        rows.append(("damaged", damaged_words(status.journal_damaged)))
    if status.rebuilt:
        rows.append(("rebuilt", "the journal was damaged, this start wrote it anew · STATE_REBUILT in the events log"))
    return rows


def set_by(switch: SwitchView) -> str:
    """Return who set a toggle, when and why; a start that set one has no time of its own."""
    since = f", {utc(switch.since_ms)}" if switch.since_ms else ""
    return f"set by {switch.override}{since}" + (f": {switch.why}" if switch.why else "")


def headline(status: StatusView) -> str:
    """Return the line above: which bot, whose money, which generation, and whether it buys."""
    profile = status.profile
    parts = [f"tradebot {status.instance}", status.money or status.venue]
    if status.synthetic:
        parts.append("SYNTHETIC MARKET")
    parts.append(f"gen {profile.generation}")
    if profile.probation is not None:
        parts.append(f"probation {span((profile.probation.until_ms - status.at_ms) / 1000)}")
    if status.stopping:
        parts.append("stopping")
    elif not status.trading:
        parts.append("not trading yet")
    parts += [f"buying {_buying(status)}", *([] if status.exits else ["exits off"]), f"up {span(status.up_s)}"]
    return " · ".join(parts)


def _buying(status: StatusView) -> str:
    """Return whether anything is bought, and where nothing is, what holds it."""
    if not status.buying:
        return on_off(status.buying)
    if status.paused:
        return "paused"
    return f"held: {status.buying_held}" if status.buying_held else on_off(status.buying)


def _market(shown: Snapshot) -> str:
    status = shown.status
    leaving = sum(1 for drop in shown.drops if drop.gate == LEAVING)
    cold = [drop for drop in shown.drops if drop.warm_in_s > 0 and drop.gate != LEAVING]
    again = [drop.warm_in_s for drop in cold if drop.rearming]
    warming = len(cold) - len(again)
    age = "no price yet" if status.age_s is None else f"newest price {status.age_s:.1f} s old"
    parts = [many(status.symbols, "symbol"), age]
    parts += [f"{status.stale} stale"] if status.stale else []
    parts += [f"{warming} warming up, not bought yet"] if warming else []
    parts += [f"{len(again)} waiting for a new anchor after a stop loss, {span(max(again))} left"] if again else []
    parts += [f"{leaving} leaving, not bought any more"] if leaving else []
    return " · ".join(parts)


def _result(status: StatusView) -> str:
    realised = f"this run {signed(status.pnl)} {status.quote} in {many(status.trades, 'trade')}"
    return f"{realised} · {many(status.fills, 'fill')} · cash {status.cash:,.2f} {status.quote}"


def _halted(status: StatusView) -> list[tuple[str, str]]:
    rows = []
    if status.paused:
        rows.append(("paused", f"by {status.paused} · `tradebot resume` buys again"))
    if status.flattening:
        rows.append(("flattening", ", ".join(status.flattening)))
    if status.stopping:
        rows.append(("stopping", status.stopping))
    return rows


def _profile(profile: ProfileView, now_ms: int) -> list[tuple[str, str]]:
    words = files_words(profile)
    files = f" · {words}" if words else ""
    since = f"since {utc(profile.since_ms)}, {by(profile.cause, profile.who)}"
    rows = [("profile", f"{profile.path} · generation {profile.generation} {since}{files}")]
    if profile.note:
        rows.append(("note", profile.note))
    if (probation := profile.probation) is not None:
        left = span((probation.until_ms - now_ms) / 1000)
        guards = f": {', '.join(probation.guards)}" if probation.guards else ""
        rows.append(("probation", f"{left} left, else back to generation {probation.falls_back_to}{guards}"))
    if (pending := profile.pending) is not None:
        rows.append(("waiting", f"ID {pending_id(pending)} · {pending.reason} · `tradebot reload --confirm`"))
        rows += [("", f"{change.key} {change.old} → {change.new}") for change in beyond_reason(pending)]
        rows += [("", line) for line in pending.plan]
    for one in profile.overrides:
        clear = f"`tradebot feature clear {one.feature}`"
        rows.append(("override", f"features.{one.feature} {on_off(one.on)} · {set_by(one)} · {clear}"))
    if profile.last_reload is not None and profile.last_reload.lines:
        rows += _last_edit(profile.last_reload, profile.last_reload_ms, shown=pending is not None)
    return rows


def _last_edit(last: OutcomeView, at_ms: int, *, shown: bool) -> list[tuple[str, str]]:
    """Return what became of the last edit, and what is to be done about it; nothing where it is `shown` as waiting."""
    head, *rest = (line.strip() for line in last.lines)
    rows = [("last edit", f"{utc(at_ms)} · {head}")]
    match last.outcome:
        case "pending" if shown:
            return []
        case "rejected":
            places = [f"{one.file}:{one.line}:{one.column}" if one.line else one.file for one in last.faults]
            faults = [
                f"{place}: {one.key}: {one.message}" if one.key else f"{place}: {one.message}"
                for place, one in zip(places, last.faults, strict=True)
            ]
            rows += [("", fault) for fault in faults[:FAULTS]]
            rows += [("", f"and {len(faults) - FAULTS} more: `tradebot reload`")] if len(faults) > FAULTS else []
        case "refused" | "rolled_back" if rest:
            rows.append(("", rest[-1]))  # what to do next
    return rows
