"""How is the running bot? Asked by `tradebot status`: a few lines, what is unusual only where it is so."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import msgspec

from tradebot.cli.finding import add_bot_arguments, ask, running_bot
from tradebot.domain.views import ChangeView, ProfileView, StatusView, SwitchView


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the format."""
    parser.add_argument("--json", action="store_true", help="everything, for machines")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the status. Raises as the client does."""
    status = ask(running_bot(args), lambda bot: bot.status())
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(status), indent=2).decode())
    else:
        print("\n".join(status_text(status)))
    return 0


def status_text(status: StatusView) -> list[str]:
    """Return the status as lines; the first says it all on a good day."""
    rows = [*_trading(status), *_profile(status.profile, status.at_ms)]
    rows.append(("log", f"{_many(status.errors, 'error')}, {_many(status.warnings, 'warning')} · {status.session}"))
    width = max(len(head) for head, _ in rows)
    return [_headline(status), *(f"{head:<{width}}  {text}" for head, text in rows)]


def span(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: 2:41:07, or 8:12 below one hour."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def utc(at_ms: int) -> str:
    """Return a time as people read it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def by(cause: str, who: str) -> str:
    """Return why and by whom, in one word where both are the same."""
    return cause if cause == who else f"{cause} by {who}"


def set_by(switch: SwitchView) -> str:
    """Return who set a toggle, when and why; a start that set one has no time of its own."""
    since = f", {utc(switch.since_ms)}" if switch.since_ms else ""
    return f"set by {switch.override}{since}" + (f": {switch.why}" if switch.why else "")


def _headline(status: StatusView) -> str:
    profile = status.profile
    parts = [f"tradebot {status.instance}", status.venue]
    if status.synthetic:
        parts.append("SYNTHETIC MARKET")
    parts.append(f"gen {profile.generation}")
    if profile.probation is not None:
        parts.append(f"probation {span((profile.probation.until_ms - status.at_ms) / 1000)}")
    if status.stopping:
        parts.append("stopping")
    elif not status.trading:
        parts.append("not trading yet")
    buying = "paused" if status.buying and status.paused else _on(status.buying)
    parts += [f"buying {buying}", *([] if status.exits else ["exits off"]), f"up {span(status.up_s)}"]
    return " · ".join(parts)


def _trading(status: StatusView) -> list[tuple[str, str]]:
    age = "no price yet" if status.age_s is None else f"newest price {status.age_s:.1f} s old"
    market = [_many(status.symbols, "symbol"), age]
    market += [f"{status.stale} stale"] if status.stale else []
    market += [f"{status.warming} warming up, not bought yet"] if status.warming else []
    orders = _many(status.orders, "order")
    if status.unknown_orders:
        orders += f", {status.unknown_orders} of unknown outcome"
    sign = "+" if status.pnl > 0 else ""
    quote = status.quote
    rows = [
        ("market", " · ".join(market)),
        ("positions", f"{status.positions}, worth {status.held:,.2f} {quote} · {status.intents} under way · {orders}"),
        ("result", f"{sign}{status.pnl:,.2f} {quote} in {_many(status.trades, 'trade')} · {_many(status.fills, 'fill')}"
                   f" · cash {status.cash:,.2f} {quote}"),
    ]  # fmt: skip
    if status.paused:
        rows.append(("paused", f"by {status.paused} · `tradebot resume` buys again"))
    if status.flattening:
        rows.append(("flattening", ", ".join(status.flattening)))
    if status.stopping:
        rows.append(("stopping", status.stopping))
    return rows


def _profile(profile: ProfileView, now_ms: int) -> list[tuple[str, str]]:
    pinned = " · pinned: the files say something else" if profile.pinned else ""
    since = f"since {utc(profile.since_ms)}, {by(profile.cause, profile.who)}"
    rows = [("profile", f"{profile.path} · generation {profile.generation} {since}{pinned}")]
    if profile.note:
        rows.append(("note", profile.note))
    if (probation := profile.probation) is not None:
        left = span((probation.until_ms - now_ms) / 1000)
        guards = f": {', '.join(probation.guards)}" if probation.guards else ""
        rows.append(("probation", f"{left} left, else back to generation {probation.falls_back_to}{guards}"))
    if (pending := profile.pending) is not None:
        others = [_change(change) for change in pending.changes if change.key not in pending.reason]
        rows.append(("waiting", " · ".join([pending.reason, *others, "`tradebot reload --confirm`"])))
        rows += [("", line) for line in pending.plan]
    for one in profile.overrides:
        clear = f"`tradebot feature clear {one.feature}`"
        rows.append(("override", f"features.{one.feature} {_on(one.on)} · {set_by(one)} · {clear}"))
    if profile.last_reload is not None and profile.last_reload.lines:
        rows.append(("last edit", f"{utc(profile.last_reload_ms)} · {profile.last_reload.lines[0]}"))
    return rows


def _change(change: ChangeView) -> str:
    return f"{change.key} {change.old} → {change.new}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _on(on: bool) -> str:
    return "on" if on else "off"
