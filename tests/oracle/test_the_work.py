"""Does the whole engine make exactly the trades of an obviously right loop: candle for candle, price for price?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.oracle.market import Expected, expected, market, write_csv
from tests.oracle.replaying import assert_equal, published, replay, trades_of

CANDLES = 4_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Expected]]]:
    """Return a folder of candles of three symbols, and the trades that must be made in them."""
    folder = tmp_path_factory.mktemp("candles")
    wanted: dict[str, list[Expected]] = {}
    for seed, base in enumerate(("AAA", "BBB", "CCC"), 1):
        candles = market(seed, CANDLES)
        write_csv(folder, f"{base}-USDT", candles)
        wanted[f"{base}/USDT"] = expected(candles)
    return folder, wanted


def test_the_market_of_the_test_gives_wins_and_losses(
    recording: tuple[Path, dict[str, list[Expected]]],
) -> None:
    trades = [trade for each in recording[1].values() for trade in each]
    assert len(trades) > 30
    assert min(trade.pnl for trade in trades) < 0 < max(trade.pnl for trade in trades)


def test_the_engine_makes_the_reference_trades(
    recording: tuple[Path, dict[str, list[Expected]]], tmp_path: Path
) -> None:
    folder, wanted = recording
    told = replay("the-work", folder, tmp_path, "--no-session")
    found = trades_of(tmp_path / "trades.csv")
    assert found.keys() == wanted.keys()
    for symbol, trades in wanted.items():
        assert_equal(found[symbol], trades)
    assert told["candles"] == 3 * CANDLES
    assert told["trades"] == sum(map(len, wanted.values()))
    assert told["conservation_error"] == 0
    assert told["fill_rate"] == 1
    rows = [row for each in found.values() for row in each]
    assert told["pnl_quote"] == sum((Decimal(row["pnl"]) for row in rows), Decimal(0))


def test_the_same_replay_gives_the_same_journal(
    recording: tuple[Path, dict[str, list[Expected]]], tmp_path: Path
) -> None:
    folder, _ = recording
    told = [replay("the-work", folder, tmp_path, *words) for words in (["--no-session"], [])]
    assert told[0]["journal_sha256"] == told[1]["journal_sha256"]
    part = replay("the-work", folder, tmp_path, "--no-session", "--symbols", "AAA/USDT")
    assert part["journal_sha256"] != told[0]["journal_sha256"]


def test_the_engine_makes_the_trades_of_the_published_reference(tmp_path: Path) -> None:
    the_work = published()
    length, wanted = 20_000, {}
    data = tmp_path / "data"
    data.mkdir()
    for k in range(3):
        candles = the_work.candles(k, length).tolist()
        write_csv(data, f"S{k:03d}-USDT", candles)
        trades = the_work.reference([row[0] for row in candles], [row[3] for row in candles])
        wanted[f"S{k:03d}/USDT"] = [Expected(*trade) for trade in trades]
    told = replay("the-work", data, tmp_path, "--no-session")
    found = trades_of(tmp_path / "trades.csv")
    assert sum(map(len, wanted.values())) > 20
    for symbol, trades in wanted.items():
        assert_equal(found[symbol], trades)
    assert told["conservation_error"] == 0
