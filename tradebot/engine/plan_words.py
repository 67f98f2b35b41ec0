"""How is a plan said in lines that a trader reads? Asked by the plan."""

from __future__ import annotations

from collections.abc import Sequence

from tradebot.engine.desk import NEVER, OUTSIDE

LISTED = 8
"""So many of a kind are listed; more are counted."""

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def counted(things: Sequence[object], words: str) -> list[str]:
    """Return a line for each thing, or one that counts them."""
    return [str(one) for one in things] if len(things) <= LISTED else [f"{len(things)} {words}"]


def listed_words(names: Sequence[str], words: str) -> list[str]:
    """Return one line about these symbols, none where there are none."""
    if not names:
        return []
    return [f"{', '.join(names) if len(names) <= LISTED else f'{len(names)} symbols'}: {words}"]


def price_words(price: float, places: int) -> str:
    """Return a price with its symbol's decimal places, "off" where there is none."""
    return f"{price:,.{places}f}" if 0.0 < price < OUTSIDE else "off"


def level_words(name: str, old: float, new: float, places: int) -> str:
    """Return how a level moves, "" where it stays."""
    return "" if old == new else f"{name} {price_words(old, places)} → {price_words(new, places)}"


def hold_words(old_ms: int, new_ms: int, now_ms: int) -> str:
    """Return how a time stop moves, "" where it stays."""
    if old_ms == new_ms:
        return ""
    old, new = ("off" if at_ms == NEVER else f"in {span(max(0, at_ms - now_ms))}" for at_ms in (old_ms, new_ms))
    return f"time stop {old} → {new}"


def percent(bps: float) -> str:
    """Return basis points as per cent with a sign: −3.6 %."""
    return f"{'−' if bps < 0 else '+'}{abs(bps) / 100:.1f} %"


def span(span_ms: int) -> str:
    """Return a time as people say it: 250 ms, 27 s, 1.5 h."""
    for unit_ms, unit in _UNITS:
        if span_ms >= unit_ms:
            return f"{span_ms / unit_ms:.1f}".removesuffix(".0") + f" {unit}"
    return f"{span_ms} ms"
