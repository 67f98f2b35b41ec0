"""Is every key found where an editor would put the cursor? Columns count characters, from 1."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.faults import Path
from tradebot.config.merge import paths
from tradebot.config.positions import Mark, positions

DOCUMENT = """\
# ünïcode
a.b = 1
"q.x" = [1, 2]
'größe' = { "é" = 1, "ß" = { c = "日本", d = 2 } }
[drop . symbol."BTC/USDT"]
threshold_bps = 120
  anchor = { kind = "é", window_s = 1, deep.x = 2 }
[[execution.steps]]
tif = "IOC"
[[execution.steps]]
tif = "GTC"
[execution.steps.inner]
x = 1
[exits]
list = [ {a = 1}, # hi
 {b = "日本", c = 2} ]
"""

KEY = st.one_of(st.text("abc_-1", min_size=1, max_size=4), st.text(max_size=4), st.sampled_from(["größe", "a.b", "日"]))
VALUE = st.recursive(
    st.one_of(st.integers(-5, 5), st.text(max_size=4), st.booleans(), st.just("日本")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=3)),
    max_leaves=10,
)


def places(source: str) -> dict[Path, tuple[int, int]]:
    """Return (line, column) of every path."""
    return {path: (mark.line, mark.column) for path, mark in positions(source.encode()).items()}


def test_places_of_a_document_with_everything() -> None:
    assert places(DOCUMENT) == {
        ("a",): (2, 1),
        ("a", "b"): (2, 3),
        ("q.x",): (3, 1),
        ("q.x", 0): (3, 10),
        ("q.x", 1): (3, 13),
        ("größe",): (4, 1),
        ("größe", "é"): (4, 13),
        ("größe", "ß"): (4, 22),
        ("größe", "ß", "c"): (4, 30),
        ("größe", "ß", "d"): (4, 40),
        ("drop",): (5, 2),
        ("drop", "symbol"): (5, 9),
        ("drop", "symbol", "BTC/USDT"): (5, 16),
        ("drop", "symbol", "BTC/USDT", "threshold_bps"): (6, 1),
        ("drop", "symbol", "BTC/USDT", "anchor"): (7, 3),
        ("drop", "symbol", "BTC/USDT", "anchor", "kind"): (7, 14),
        ("drop", "symbol", "BTC/USDT", "anchor", "window_s"): (7, 26),
        ("drop", "symbol", "BTC/USDT", "anchor", "deep"): (7, 40),
        ("drop", "symbol", "BTC/USDT", "anchor", "deep", "x"): (7, 45),
        ("execution",): (8, 3),
        ("execution", "steps"): (8, 13),
        ("execution", "steps", 0): (8, 13),
        ("execution", "steps", 0, "tif"): (9, 1),
        ("execution", "steps", 1): (10, 13),
        ("execution", "steps", 1, "tif"): (11, 1),
        ("execution", "steps", 1, "inner"): (12, 18),
        ("execution", "steps", 1, "inner", "x"): (13, 1),
        ("exits",): (14, 2),
        ("exits", "list"): (15, 1),
        ("exits", "list", 0): (15, 10),
        ("exits", "list", 0, "a"): (15, 11),
        ("exits", "list", 1): (16, 2),
        ("exits", "list", 1, "b"): (16, 3),
        ("exits", "list", 1, "c"): (16, 13),
    }


def test_the_document_and_its_places_name_the_same_keys() -> None:
    assert set(places(DOCUMENT)) == set(paths(tomllib.loads(DOCUMENT)))


def test_windows_line_ends_change_nothing() -> None:
    assert places(DOCUMENT.replace("\n", "\r\n")) == places(DOCUMENT)


@given(st.dictionaries(KEY, VALUE, max_size=4))
def test_every_key_of_any_document_is_where_its_place_says(tree: dict[str, Any]) -> None:
    source = tomli_w.dumps(tree)
    found = places(source)
    assert set(found) == set(paths(tomllib.loads(source)))
    lines = source.split("\n")
    for path, (line, column) in found.items():
        text = lines[line - 1][column - 1 :]
        if isinstance(path[-1], str):
            assert text.startswith((path[-1], '"')) if path[-1] else text.startswith('""')


def test_one_line_of_very_many_values_is_placed_soon() -> None:
    source = ('x = ["é",' + "1," * 400_000 + "1]\n").encode()
    begun = time.process_time()
    found = positions(source)
    assert time.process_time() - begun < 8
    assert found[("x", 1)] == Mark(1, 10)
    assert found[("x", 400_001)] == Mark(1, 800_010)
