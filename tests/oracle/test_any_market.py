"""Does the oracle hold in any market, also where prices lie exactly on a trigger?"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.market import Candle, expected, market, write_csv
from tests.oracle.replaying import ROOT, assert_equal
from tradebot.research.replay import Request, replay
from tradebot.research.trades import COLUMNS

THE_WORK = str(ROOT / "profiles/the-work.toml")


def rows(folder: Path) -> tuple[dict[str, list[dict[str, str]]], Decimal | None]:
    """Replay `folder`; return its trades by symbol, as a trades file holds them, and what is not conserved."""
    done = replay(Request(profile=THE_WORK, data=(folder,), session=False), lambda _done, _total: None)
    found: dict[str, list[dict[str, str]]] = {}
    for trade in done.report.trades:
        found.setdefault(trade.symbol, []).append(dict(zip(COLUMNS, trade.row(), strict=True)))
    return found, done.report.summary.conservation_error


def compare(markets: dict[str, list[Candle]]) -> int:
    """Compare the engine's trades in these markets with the reference; return how many there are."""
    with tempfile.TemporaryDirectory() as name:
        for base, candles in markets.items():
            write_csv(Path(name), f"{base}-USDT", candles)
        found, error = rows(Path(name))
    assert error in {0, None}
    count = 0
    for base, candles in markets.items():
        wanted = expected(candles)
        assert_equal(found.get(f"{base}/USDT", []), wanted)
        count += len(wanted)
    return count


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(100, 1_200))
def test_random_walks(seed: int, length: int) -> None:
    compare({base: market(seed + at, length) for at, base in enumerate(("AAA", "BBB"))})


def flat(closes: list[float]) -> list[Candle]:
    """Return candles that open where the last one closed, without wicks."""
    opens = [closes[0], *closes[:-1]]
    return [(o, max(o, c), min(o, c), c, 1.0) for o, c in zip(opens, closes, strict=True)]


steps = st.lists(st.sampled_from([100.0, 98.5, 98.4999, 98.5001, 99.485, 96.53, 101.0, 97.0225]), max_size=200)


@settings(max_examples=20)
@given(steps)
def test_prices_that_lie_exactly_on_a_trigger(tail: list[float]) -> None:
    """98.5 is the buy trigger of 100; 99.485 and 96.53 are take profit and stop loss of an entry at 98.5."""
    compare({"AAA": flat([100.0] * 61 + tail)})


def test_a_trigger_that_is_touched_buys_and_sells() -> None:
    tail = [98.5, 98.5, 99.485, 99.485, 98.5, 98.5, 96.53, 96.53, 96.53]
    assert compare({"AAA": flat([100.0] * 61 + tail)}) == 2
