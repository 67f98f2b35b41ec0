"""How many decimal places do recorded prices have? Asked by the recordings, for the tick size."""

from __future__ import annotations

from array import array

MOST_PLACES = 12
"""More than any spot market quotes; beyond it a float's last digits are arithmetic, not price."""


def decimal_places(*columns: array[float]) -> int:
    """Return the most decimal places any of the prices has, at most `MOST_PLACES`."""
    places = 0
    for column in columns:
        for price in column:
            while round(price, places) != price and places < MOST_PLACES:
                places += 1
    return places
