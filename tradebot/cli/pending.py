"""What waits for a confirmation, and by which ID is it confirmed? Asked by `tradebot status` and `reload --confirm`."""

from __future__ import annotations

from tradebot.domain.views import ChangeView, PendingView

ID_LENGTH = 8
"""So many characters of a text's digest tell it from any other that may wait."""


def pending_id(pending: PendingView) -> str:
    """Return the ID of what waits: confirmed is that text and no other."""
    return pending.digest[:ID_LENGTH]


def pending_lines(pending: PendingView) -> list[str]:
    """Return all of what waits: its ID, why, every change, and what would happen to orders and positions."""
    width = max((len(change.key) for change in pending.changes), default=0)
    return [
        f"waiting · ID {pending_id(pending)} · {pending.reason}",
        *(f"  {change.key:<{width}}  {change.old} → {change.new}" for change in pending.changes),
        *(f"  {line}" for line in pending.plan),
    ]


def beyond_reason(pending: PendingView) -> list[ChangeView]:
    """Return the changes that the reason does not name already."""
    return [change for change in pending.changes if change.key not in pending.reason]
