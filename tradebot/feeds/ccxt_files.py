"""Where do fetched and recorded rows stand, and where do they go on? Asked by the fetching and the recording of data.

CSV, one file a symbol and kind, in the columns that recorded feeds read; rows are only ever appended. A row that was
cut by a crash is taken off before the file goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tradebot.domain.errors import DataInvalid

_TAIL = 4096


class RowFile:
    """One file of rows under `header`; `last` is its last whole row, None while there is none."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        """Open or begin the file. Raises DataInvalid where it holds other columns, and OSError."""
        self.path = path
        self._header = ",".join(header)
        self.last: list[str] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size <= len(self._header):
            path.write_text(f"{self._header}\n", encoding="utf-8")
            return
        with path.open("rb+") as file:
            if file.readline().decode(errors="replace").rstrip("\r\n") != self._header:
                raise DataInvalid(f"{path}: holds other columns than {self._header}; name another folder")
            begin = file.tell()
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - _TAIL))
            tail = file.read()
            whole = tail[: tail.rfind(b"\n") + 1]
            if len(whole) < len(tail):
                file.truncate(size - len(tail) + len(whole))
            rows = whole.splitlines()
            if rows:
                self.last = rows[-1].decode().split(",")

    def append(self, rows: Iterable[Sequence[object]], *, durable: bool = True) -> None:
        """Append rows; with `durable` they survive a crash of the machine. Raises OSError."""
        text = [",".join(map(str, row)) for row in rows]
        if not text:
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write("\n".join(text) + "\n")
            if durable:
                file.flush()
                os.fsync(file.fileno())
        self.last = text[-1].split(",")


def file_of(folder: Path, symbol: str, kind: str) -> Path:
    """Return the place of a symbol's rows: BTC-USDT.1m.csv, BTC-USDT.trades.csv."""
    return folder / f"{symbol.replace('/', '-')}.{kind}.csv"
