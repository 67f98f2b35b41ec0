"""May an edit take effect by itself? Asked by the reloads of every edit that needs no restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tradebot.config.diff import Change


def reason_to_wait(
    changes: Sequence[Change], mode: Literal["auto", "confirm"], condemned: str = ""
) -> tuple[tuple[str, ...], str]:
    """Return (the keys it waits for, why) of an edit that waits for a confirmation, ((), "") of one that does not.

    The whole edit waits where one of its changes loosens a risk limit; in mode `confirm` every edit that changes a
    setting does. `condemned` is why the very same text was rolled back before.
    """
    keys = tuple(change.key for change in changes)
    if condemned:
        return keys, f"it was rolled back before: {condemned}"
    looser = [change for change in changes if change.looser]
    if looser:
        words = ", ".join(f"{change.key} {' → '.join(change.words())}" for change in looser)
        return tuple(change.key for change in looser), f"loosens: {words}"
    if mode == "confirm" and changes:
        return keys, 'every edit is confirmed (`reload.mode = "confirm"`)'
    return (), ""
