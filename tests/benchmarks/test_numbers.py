"""What does rounding to a grid cost? It stands on the path of every order."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from decimal import Decimal

import pytest

from tradebot.domain.numbers import ceil_to, floor_to

ROUNDS = 200_000


@pytest.mark.benchmark
@pytest.mark.parametrize("rounding", [floor_to, ceil_to], ids=["floor_to", "ceil_to"])
def test_rounding_to_a_grid(rounding: Callable[[Decimal, Decimal], Decimal], show: Callable[..., None]) -> None:
    price, tick = Decimal("64102.137"), Decimal("0.01")
    each_us = min(timeit.repeat(lambda: rounding(price, tick), number=ROUNDS, repeat=3)) / ROUNDS * 1e6
    show(us=each_us)
