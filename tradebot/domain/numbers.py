"""How are money and time counted? Asked by everything that books, sizes or waits."""

from __future__ import annotations

from decimal import Context, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal(10_000)

EXACT = Context(prec=60)
"""Wide enough that no sum or product of prices, amounts and fees is rounded: for `localcontext` around a booking."""

ROUGH = Context(prec=28)
"""For shares and averages, which no decimal holds exactly."""


def exact(value: float | int | str) -> Decimal:
    """Return the decimal a person would read in `value`: 0.1 gives Decimal("0.1").

    A float is taken by its shortest repr, so a price that came as text is the same number again.
    """
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` (> 0) that is not above `value`."""
    steps = value // step  # exact, where a division would round to the context's precision first
    multiple = steps * step
    return multiple if multiple <= value else (steps - 1) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` (> 0) that is not below `value`."""
    steps = value // step
    multiple = steps * step
    return multiple if multiple >= value else (steps + 1) * step


def bps_up(bps: Decimal) -> Decimal:
    """Return the factor that raises a price by `bps` basis points (150 -> 1.015)."""
    return ONE + bps / BPS


def bps_down(bps: Decimal) -> Decimal:
    """Return the factor that lowers a price by `bps` basis points (150 -> 0.985)."""
    return ONE - bps / BPS


def ms(seconds: Decimal | float | int) -> int:
    """Return `seconds` as whole milliseconds, rounded to the nearest."""
    return round(seconds * 1000)


def plain(value: Decimal) -> str:
    """Return `value` without exponent and without trailing zeros: 1E+2 gives "100"."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
