"""How does a test lay down a recording? Rows as CSV or parquet, named as the feed reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tradebot.domain.errors import DataInvalid

CANDLE = ("ts", "open", "high", "low", "close", "volume")
TRADE = ("ts", "trade_id", "price", "qty", "is_buyer_maker")
QUOTE = ("ts", "bid", "bid_qty", "ask", "ask_qty")
DIFF = ("recv_us", "event_us", "first_update_id", "final_update_id", "is_ask", "price", "qty")

MINUTE = 60_000
START = 1_618_617_600_000  # a whole hour

Row = Sequence[Any]


def sound(minute: int, price: float = 100.0) -> tuple[int, float, float, float, float, float]:
    """Return a sound candle row, `minute` minutes after `START`."""
    return (START + minute * MINUTE, price, price + 2.5, price - 1.25, price + 1.0, 10.0 + minute)


def write(path: Path, names: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write `rows` (at least one) to `path` as its suffix says, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        columns = zip(*rows, strict=True)
        table = import_module("pyarrow").table({name: list(held) for name, held in zip(names, columns, strict=True)})
        import_module("pyarrow.parquet").write_table(table, path, row_group_size=7)  # several chunks a column
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows(rows)
    return path


def fault(error: BaseException) -> str:
    """Return the one line an operator reads of a refused recording."""
    assert isinstance(error, DataInvalid)
    assert "\n" not in str(error)
    return str(error)
