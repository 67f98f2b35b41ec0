"""What do a recording file's columns hold? Parquet and CSV alike, as plain arrays. Asked by the recorded feeds."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from operator import indexOf
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from tradebot.domain.errors import DataInvalid

ColumnType = Literal["int", "float", "bool"]

SUFFIXES = (".parquet", ".csv")
"""The file kinds that can be read."""

_BOOLEANS = {"true": 1, "True": 1, "TRUE": 1, "1": 1, "false": 0, "False": 0, "FALSE": 0, "0": 0}
_TYPECODES = {"int": "q", "float": "d", "bool": "b"}
_ARROW_TYPES: dict[ColumnType, tuple[str, ...]] = {
    "int": ("int64",),
    "float": ("double", "int64"),
    "bool": ("bool",),
}


class Columns(Struct):
    """The columns of one file, all of the same length: `ints` (also booleans, as 0 and 1) and `floats` by name."""

    ints: dict[str, array[int]]
    floats: dict[str, array[float]]


def bad_row(path: Path, index: int, what: str) -> DataInvalid:
    """Return the fault of the row at `index` (from 0); people count data rows from 1."""
    return DataInvalid(f"{path}: row {index + 1}: {what}")


def expect(path: Path, holds: Iterator[bool], shift: int, what: Callable[[int], str]) -> None:
    """Refuse the first row where `holds` is False; the first of `holds` is about row `shift`.

    `what` gets the index of that row and says what is wrong. Raises DataInvalid.
    """
    try:
        at = indexOf(holds, False) + shift
    except ValueError:
        return
    raise bad_row(path, at, what(at))


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of `path`, read from its header alone.

    Raises DataInvalid where the file cannot be read.
    """
    if path.suffix == ".parquet":
        with _arrow_faults(path):
            return tuple(_pyarrow("pyarrow.parquet").read_schema(path).names)
    with _text_faults(path), path.open(newline="", encoding="utf-8-sig") as file:
        return _header(path, csv.reader(file, strict=True))


def read_columns(path: Path, wanted: Mapping[str, ColumnType]) -> Columns:
    """Return the columns `wanted` of `path`; the file may hold others.

    Raises DataInvalid naming file and place: unreadable, truncated, empty, a missing column, a value of another type.
    """
    columns = _read_parquet(path, wanted) if path.suffix == ".parquet" else _read_csv(path, wanted)
    held = [*columns.ints.values(), *columns.floats.values()]
    if not held or not held[0]:
        raise DataInvalid(f"{path}: holds no rows")
    return columns


def _missing(path: Path, names: tuple[str, ...], wanted: Mapping[str, ColumnType]) -> None:
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataInvalid(f"{path}: column {', '.join(absent)} is missing; it has {', '.join(names)}")


# -- CSV ------------------------------------------------------------------------------------------


@contextmanager
def _text_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataInvalid(f"{path}: cannot be read as CSV: {error}") from error


def _header(path: Path, rows: Iterator[list[str]]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in next(rows, []))
    if not names:
        raise DataInvalid(f"{path}: is empty; a header with the column names is wanted")
    if len(set(names)) != len(names):
        raise DataInvalid(f"{path}: a column name stands twice in the header: {', '.join(names)}")
    return names


def _boolean(text: str) -> int:
    if text not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text]


_PARSERS: dict[ColumnType, Callable[[str], Any]] = {"int": int, "float": float, "bool": _boolean}


def _read_csv(path: Path, wanted: Mapping[str, ColumnType]) -> Columns:
    result = _empty(wanted)
    with _text_faults(path), path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        names = _header(path, rows)
        _missing(path, names, wanted)
        fields = [
            (names.index(name), name, kind, _PARSERS[kind], _array(result, name, kind).append)
            for name, kind in wanted.items()
        ]
        for index, row in enumerate(rows):
            if len(row) != len(names):
                raise bad_row(path, index, f"has {len(row)} fields, the header has {len(names)}")
            for position, name, kind, parse, append in fields:
                try:
                    append(parse(row[position]))
                except (ValueError, OverflowError) as error:
                    raise bad_row(path, index, f"{name}: {row[position]!r} is no {kind}") from error
    return result


def _empty(wanted: Mapping[str, ColumnType]) -> Columns:
    return Columns(
        ints={name: array(_TYPECODES[kind]) for name, kind in wanted.items() if kind != "float"},
        floats={name: array("d") for name, kind in wanted.items() if kind == "float"},
    )


def _array(columns: Columns, name: str, kind: ColumnType) -> array[Any]:
    return columns.floats[name] if kind == "float" else columns.ints[name]


# -- parquet --------------------------------------------------------------------------------------


def _pyarrow(module: str) -> Any:
    """Import pyarrow only where a parquet file is met: it is an optional extra, and slow to import."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DataInvalid(
            "reading parquet needs pyarrow, which is not installed: pip install 'tradebot[parquet]', "
            "or convert the recording to CSV, which needs nothing"
        ) from error


@contextmanager
def _arrow_faults(path: Path) -> Iterator[None]:
    arrow_error: type[Exception] = _pyarrow("pyarrow").lib.ArrowException
    try:
        yield
    except (OSError, arrow_error) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataInvalid(f"{path}: cannot be read as parquet: {cause}") from error


def _read_parquet(path: Path, wanted: Mapping[str, ColumnType]) -> Columns:
    result = _empty(wanted)
    with _arrow_faults(path), _pyarrow("pyarrow.parquet").ParquetFile(path) as file:
        _missing(path, tuple(file.schema_arrow.names), wanted)
        for name, kind in wanted.items():  # one column at a time: the peak stays at one column above what is kept
            table = file.read(columns=[name], use_threads=False)
            _fill(path, _array(result, name, kind), table.column(name), name, kind)
    return result


def _fill(path: Path, target: array[Any], column: Any, name: str, kind: ColumnType) -> None:
    if str(column.type) not in _ARROW_TYPES[kind]:
        raise DataInvalid(f"{path}: column {name} is {column.type}; {' or '.join(_ARROW_TYPES[kind])} is wanted")
    if column.null_count:
        raise bad_row(path, column.is_null().index(True).as_py(), f"{name} is null")
    if kind == "bool":
        column = column.cast("int8")
    elif kind == "float" and str(column.type) == "int64":
        column = column.cast("double")
    width = target.itemsize
    for chunk in column.chunks:
        if len(chunk):
            held = memoryview(chunk.buffers()[1])
            target.frombytes(held[chunk.offset * width : (chunk.offset + len(chunk)) * width])
