"""How is a recovery said in a line that a trader reads? Asked by the words of facts."""

from __future__ import annotations

from collections.abc import Sequence

from tradebot.domain.facts import RecoveryCompleted, RecoveryPlanned
from tradebot.domain.numbers import plain

SHOWN = 5
"""So many names stand in a line, the record's fields hold all of them."""


def planned_words(fact: RecoveryPlanned) -> str:
    """Say what was restored and what is done about it."""
    if not (fact.orders or fact.positions or fact.intents):
        return "Plan: nothing was under way; the balances are asked for, then trading is allowed"
    parts = [_counted(len(fact.orders), "order") + " to ask the venue for" + _names(fact.orders)]
    if fact.cancels:
        parts.append(f"{len(fact.cancels)} of them cancelled where still open, since their wait is over")
    if fact.ends:
        parts.append(_counted(fact.ends, "intent") + " without an order ended")
    parts.append(_counted(len(fact.positions), "position") + _protection(fact))
    return f"Plan: {'; '.join(parts)}; exits go on symbol by symbol, buys after the last answer"


def completed_words(fact: RecoveryCompleted) -> str:
    """Say what the venue told, and what happened while nobody looked."""
    held = f"{_counted(fact.orders_open, 'order')} open, {_counted(fact.positions, 'position')}"
    return f"Reconciled with the venue: {held}; {away_words(fact)}; trading is allowed"


def away_words(fact: RecoveryCompleted) -> str:
    """Say what the fills of earlier runs' orders amount to."""
    if not fact.fills_adopted:
        return "no fills were missed"
    parts = []
    if fact.bought:
        parts.append(f"bought for {plain(fact.bought)} {fact.quote}")
    if fact.sold:
        parts.append(f"sold for {plain(fact.sold)} {fact.quote}")
        parts.append(f"PnL {'+' if fact.pnl > 0 else ''}{plain(fact.pnl)} {fact.quote}")
    text = f"{_counted(fact.fills_adopted, 'fill')} happened while away"
    return f"{text}: {', '.join(parts)}" if parts else text


def _protection(fact: RecoveryPlanned) -> str:
    if not fact.positions:
        return ""
    told = f" ({_listed(fact.protected, '; ')})" if fact.protected else ""
    if fact.unprotected:
        told += f", not protected by any rule: {_listed(fact.unprotected)}"
    return told


def _names(names: Sequence[str]) -> str:
    return f" ({_listed(names)})" if names else ""


def _listed(items: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return between.join(items[:SHOWN]) + more


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
