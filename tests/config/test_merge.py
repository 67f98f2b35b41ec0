"""Does the later word hold, table by table, and does every value know who said it?"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.merge import Origin, Origins, at, holds, merged, overlay, paths

KEYS = st.sampled_from(["a", "b", "c", "d.e"])
LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3))
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES | st.lists(st.dictionaries(KEYS, LEAVES, max_size=2), max_size=3),
        lambda inner: st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(TREES, TREES)
def test_everything_the_upper_one_says_holds(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    result = merged(lower, upper)
    for path in paths(upper):
        said = at(upper, path)
        if not isinstance(said, dict):
            assert at(result, path) == said


@given(TREES, TREES)
def test_what_the_upper_one_does_not_touch_stays(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    result = merged(lower, upper)
    for path in paths(lower):
        above = [path[:length] for length in range(1, len(path) + 1)]
        if not any(holds(upper, part) and not isinstance(at(upper, part), dict) for part in above):
            untouched = not holds(upper, path)
            if untouched and all(isinstance(at(lower, part), dict) for part in above[:-1]):
                assert at(result, path) == at(lower, path)


@given(TREES, TREES)
def test_merging_changes_neither(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    before = deepcopy((lower, upper))
    merged(lower, upper)
    assert (lower, upper) == before


@given(TREES)
def test_nothing_over_it_and_itself_over_it_change_nothing(tree: dict[str, Any]) -> None:
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree
    assert merged(tree, tree) == tree


@given(st.lists(TREES, min_size=1, max_size=4))
def test_every_place_of_the_result_has_one_origin_and_no_other_place_has(layers: list[dict[str, Any]]) -> None:
    tree: dict[str, Any] = {}
    origins: Origins = {}
    for rank, layer in enumerate(layers):
        overlay(origins, tree, layer, lambda _, rank=rank: Origin(f"{rank}.toml", 1, 1, rank=rank))  # type: ignore[misc]
        tree = merged(tree, layer)
    assert set(origins) == set(paths(tree))
    for path, origin in origins.items():
        assert holds(layers[origin.rank], path)
        if not isinstance(at(tree, path), dict):
            assert at(layers[origin.rank], path) == at(tree, path)


def test_an_array_is_replaced_and_not_joined() -> None:
    assert merged({"symbols": [1, 2, 3]}, {"symbols": [4]}) == {"symbols": [4]}
