"""What has the matrix shown? The table of docs/reliability.md, written from the results of a run; asked by `matrix`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from tests.crash.cases import family_group

BEGIN: Final = "<!-- the table below is written by `task matrix -- --table` -->"
END: Final = "<!-- up to here -->"
GROUPS: Final = ("none", "before", "after", "late and others", "events")
_HEADS: Final = (
    *("no fault", "lost before acceptance", "answer lost or spoiled after it"),
    *("late, lagging, refused, banned", "user events and sockets"),
)


class Result(Protocol):
    """What a table needs of a case."""

    @property
    def kind(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def kills(self) -> int: ...
    @property
    def differences(self) -> list[str]: ...


def table_of(lines: Sequence[Result]) -> str:
    """Return the table: a row for each kind of command, cases / kills / differences in each cell."""
    cases: Counter[tuple[str, str]] = Counter()
    kills: Counter[tuple[str, str]] = Counter()
    bad: Counter[tuple[str, str]] = Counter()
    for line in lines:
        for row in (line.kind, "all"):
            for column in (family_group(line.family), "all"):
                cases[row, column] += 1
                kills[row, column] += line.kills
                bad[row, column] += bool(line.differences)
    rows = [*sorted({line.kind for line in lines}), "all"]
    columns = (*GROUPS, "all")
    text = ["| command | " + " | ".join((*_HEADS, "all")) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = (f"{cases[row, one]} / {kills[row, one]} / {bad[row, one]}" for one in columns)
        text.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def write_table(page: Path, lines: Sequence[Result]) -> None:
    """Put the table into the page, between its marks. Raises ValueError where they are missing."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page}: the marks of the table are missing")
    page.write_text(f"{before}{BEGIN}\n\n{table_of(lines)}\n\n{END}{after}", encoding="utf-8")
