"""How is it told what became of an edit? Asked by every command that changes the profile in force."""

from __future__ import annotations

from tradebot.cli.words import show
from tradebot.domain.views import OutcomeView

DONE = frozenset({"unchanged", "applied", "pending"})
"""Outcomes that end a command with 0: what was asked stands, or waits for a confirmation as it should."""


def tell(outcome: OutcomeView) -> int:
    """Print the bot's own lines; return 0 where it was done or waits, 1 where it was not done."""
    show(*(outcome.lines or (f"{outcome.outcome} · generation {outcome.generation}",)))
    return 0 if outcome.outcome in DONE else 1
