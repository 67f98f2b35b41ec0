"""Is every risk limit known to be looser on its declared side, and on no other? Cases come from the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.any_profile import borders, loaded
from tradebot.config.catalogue import NAME, Setting, walk
from tradebot.config.diff import diff
from tradebot.config.env import nested
from tradebot.config.merge import merged

SYMBOL = "BTC/USDT"
Case = tuple[tuple[str, ...], Setting]

BESIDE: dict[str, dict[str, Any]] = {
    "exits.trailing": {"activate_bps": 120, "distance_bps": 60},
    f"drop.symbol.{NAME}": {"threshold_bps": 120},
}
"""What must be said beside a setting so that its table is whole."""

LIMITS = [case for case in walk() if case[1].looser]
UNLIMITED = [case for case in LIMITS if case[1].unset is not None and not case[1].means]
MARKET_STEP = ("execution", "steps[]", "type")
OTHERS = [
    case
    for case in walk()
    if case[1].leaf and not case[1].looser and case[1].kind != "tables" and case[0] != MARKET_STEP  # told below
]


def saying(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return what a file says that sets the setting at `path`, and what that needs beside it."""
    table = path[:-1]
    inside = {**BESIDE.get(".".join(table), {}), path[-1]: value}
    if any(part.endswith("[]") for part in table):
        return nested(tuple(part.removesuffix("[]") for part in table), [inside])
    return nested(tuple(SYMBOL if part == NAME else part for part in table), inside)


def two_values(setting: Setting) -> tuple[Any, Any]:
    """Return two values that a setting takes, the lesser one first."""
    match setting.kind:
        case "flag":
            return False, True
        case "choice":
            return setting.choices[0], setting.choices[-1]
        case "text":
            texts = {
                "quote": ("EUR", "USDT"),
                "name": ("binance", "kraken"),
                "base_url": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
            }
            return texts.get(setting.name, ("a", "b"))
        case "texts":
            return [], [SYMBOL]
    low, high = borders(setting)
    return (int(low), int(high)) if setting.kind == "whole" else (low, high)


def tight_and_loose(path: tuple[str, ...], setting: Setting) -> tuple[Any, Any]:
    """Return a value of a limit and a looser one."""
    if setting.table is not None:
        return BESIDE[".".join(path)], setting.unset
    low, high = two_values(setting)
    if setting.looser == "higher":
        return low, high
    if setting.looser == "lower":
        return high, low
    loose = {"true": True, "false": False}.get(setting.looser, setting.looser)
    other = [value for value in (setting.choices or (True, False)) if value != loose]
    return other[0], loose


def found(path: tuple[str, ...], old: Any, new: Any) -> list[bool]:
    """Return whether each change is looser where the setting goes from `old` to `new`."""
    return [one.looser for one in diff(loaded(saying(path, old)), loaded(saying(path, new)))]


def named(case: Any) -> str:
    return ".".join(case) if isinstance(case, tuple) else ""


@pytest.mark.parametrize(("path", "setting"), LIMITS, ids=named)
def test_a_limit_is_looser_one_way_and_not_the_other(path: tuple[str, ...], setting: Setting) -> None:
    tight, loose = tight_and_loose(path, setting)
    assert set(found(path, tight, loose)) == {True}
    assert set(found(path, loose, tight)) == {False}


@pytest.mark.parametrize(("path", "setting"), UNLIMITED, ids=named)
def test_without_a_value_is_the_loosest(path: tuple[str, ...], setting: Setting) -> None:
    for value in tight_and_loose(path, setting)[: 1 if setting.table is not None else 2]:
        assert set(found(path, value, setting.unset)) == {True}
        assert set(found(path, setting.unset, value)) == {False}


@pytest.mark.parametrize(("path", "setting"), OTHERS, ids=named)
def test_what_is_no_limit_is_never_looser(path: tuple[str, ...], setting: Setting) -> None:
    low, high = two_values(setting)
    for old, new in ((low, high), (high, low), (low, setting.unset), (setting.unset, low)):
        if old is not None and new is not None:
            assert True not in found(path, old, new)


def warmup(value: object, window_s: int = 600, kind: str = "rolling_high") -> dict[str, Any]:
    """Return what a file says of the anchor; every session high is warm at once where no more is said."""
    return {"drop": {"anchor": {"warmup_s": value, "window_s": window_s, "kind": kind}}}


@pytest.mark.parametrize(
    ("old", "new", "loose"),
    [
        (warmup("window"), warmup(599), True),
        (warmup("window"), warmup(600), False),
        (warmup("window"), warmup(601), False),
        (warmup(599), warmup("window"), False),
        (warmup(601), warmup("window"), True),
        (warmup(601), warmup("window", window_s=700), False),
        (warmup(601), warmup("window", kind="session_high"), True),
        (warmup("window", kind="session_high"), warmup(1), False),
        (warmup("window"), warmup("window", window_s=60), False),  # a window is no limit
    ],
)
def test_a_warmup_without_a_value_counts_by_its_seconds(old: dict[str, Any], new: dict[str, Any], loose: bool) -> None:
    changes = diff(loaded(old), loaded(new))
    assert changes
    assert [one.key for one in changes if one.looser] == (["drop.anchor.warmup_s"] if loose else [])


def test_every_declared_word_can_be_judged() -> None:
    for path, setting in LIMITS:
        if setting.looser in ("higher", "lower"):
            assert setting.kind in ("whole", "number", "table"), path
        else:
            assert setting.kind in ("flag", "choice"), path
            assert setting.kind != "flag" or setting.looser in ("true", "false"), path
            assert setting.kind != "choice" or setting.looser in setting.choices, path
        assert setting.table is None or setting.unset is not None, path
    assert [path[-1] for path, setting in walk() if setting.means] == ["warmup_s"]


def drop(general: int, own: int | None = None) -> dict[str, Any]:
    """Return what a file says of the drop that is bought, of one symbol if `own`."""
    table: dict[str, Any] = {"threshold_bps": general}
    return {"drop": table if own is None else {**table, "symbol": {SYMBOL: {"threshold_bps": own}}}}


@pytest.mark.parametrize(
    ("old", "new", "loose"),
    [
        (drop(250), drop(250, 120), ["symbol"]),
        (drop(250, 120), drop(250), []),
        (drop(250), drop(250, 300), []),
        (drop(250, 300), drop(250), ["symbol"]),
        (drop(250), drop(250, 250), []),
        (drop(250, 250), drop(250), []),
        (drop(250, 120), drop(250, 119), ["symbol"]),
        (drop(250), drop(200), ["threshold_bps"]),
        (drop(250, 300), drop(400), []),  # the symbol's own drop grows with the general one
        (drop(250), drop(400, 240), ["symbol"]),  # and shrinks against what held for it before
        (drop(400), drop(250, 400), ["threshold_bps"]),
    ],
)
def test_a_symbols_own_drop_is_compared_with_what_held_for_it(
    old: dict[str, Any], new: dict[str, Any], loose: list[str]
) -> None:
    assert [one.path[1] for one in diff(loaded(old), loaded(new)) if one.looser] == loose


LIMIT, MARKET = {"type": "limit"}, {"type": "market"}


@pytest.mark.parametrize(
    ("old", "new", "loose"),
    [
        ([LIMIT], [MARKET], ["execution.steps[0].type"]),
        ([LIMIT], [LIMIT, MARKET], ["execution.steps[1].type"]),
        ([LIMIT, LIMIT], [LIMIT, MARKET], ["execution.steps[1].type"]),
        ([MARKET], [LIMIT, MARKET], []),
        ([LIMIT, MARKET], [MARKET], []),
        ([LIMIT, MARKET], [LIMIT, LIMIT, MARKET], []),
        ([MARKET], [LIMIT], []),
        ([LIMIT, MARKET], [LIMIT], []),
        ([LIMIT], [LIMIT, LIMIT], []),
    ],
)
def test_a_market_order_is_looser_where_a_buy_had_none(
    old: list[dict[str, str]], new: list[dict[str, str]], loose: list[str]
) -> None:
    for table, told in (("execution", loose), ("exits", [])):
        changes = diff(loaded({table: {"steps": old}}), loaded({table: {"steps": new}}))
        assert changes
        assert [one.key for one in changes if one.looser] == told


def test_what_is_watched_is_no_limit() -> None:
    old, new = {"market": {"symbols": [SYMBOL]}}, {"market": {"symbols": [SYMBOL, "ETH/USDT"]}}
    assert [one.looser for one in diff(loaded(old), loaded(new))] == [False]


def test_what_tightens_beside_what_loosens_does_not_make_it_tight() -> None:
    old = merged(drop(250), {"budget": {"max_positions": 5}})
    new = merged(drop(300), {"budget": {"max_positions": 6}})
    assert [(one.key, one.looser) for one in diff(loaded(old), loaded(new))] == [
        ("drop.threshold_bps", False),
        ("budget.max_positions", True),
    ]
