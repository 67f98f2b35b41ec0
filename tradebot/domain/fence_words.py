"""How is what holds trading back said in a line? Asked by the console and by `tradebot status`."""

from __future__ import annotations

from tradebot.domain.views import HaltedView, StoppedView, VenueView


def fence_rows(
    venue: VenueView, halted: tuple[HaltedView, ...], stopped: tuple[StoppedView, ...], now_ms: int
) -> list[tuple[str, str]]:
    """Return (head, text) of what is unusual, nothing where all may go on; times count down from `now_ms`."""
    rows = []
    if venue.state != "up":
        left = f" · {_span(venue.until_ms - now_ms)} left" if venue.until_ms > now_ms else ""
        rows.append(("venue", f"{venue.state} for {_span(now_ms - venue.since_ms)}: {venue.reason}{left}"))
    if venue.clock != "right":
        side = "ahead of" if venue.clock_offset_ms > 0 else "behind"
        what = ", nothing is bought" if venue.clock == "wrong" else ""
        rows.append(("clock", f"{abs(venue.clock_offset_ms)} ms {side} the venue's{what}: set it right"))
    rows += [("halted", f"{one.symbol} for {_span(now_ms - one.since_ms)}: {one.reason}") for one in halted]
    for each in stopped:
        how = "stopped" if each.action == "buy" else "slowed"
        when = f"again in {_span(each.until_ms - now_ms)}" if each.until_ms > now_ms else "again as soon as it is due"
        again = f"{when} or by `tradebot rearm {each.symbol}`"
        rows.append((how, f"{each.action} {each.symbol}, {each.failures} times {each.cause} · {again}"))
    return rows


def journal_words(failed: str, now_ms: int, since_ms: int) -> str:
    """Return what it means that the journal cannot be written, since when (0 where that is not known yet), and why."""
    span = f" for {_span(now_ms - since_ms)}" if since_ms else ""
    return f"nothing can be sent{span}: the journal cannot be written · {failed}"


def damaged_words(damaged: str) -> str:
    """Return what it means that the journal's file holds damage that the bot does not need now."""
    return f"the journal is damaged, reports of that time are not to be had: `tradebot journal --check` · {damaged}"


def _span(span_ms: int) -> str:
    minutes, seconds = divmod(max(0, span_ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
