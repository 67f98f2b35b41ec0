"""Does the diff say every setting that differs, no other, and truly which class it has and where it comes from?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.config.any_profile import PROFILES, loaded
from tradebot.config.catalogue import walk
from tradebot.config.diff import Change, diff
from tradebot.config.faults import dotted
from tradebot.config.leaves import leaves
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.looser import ABSENT

DEFAULTS = loaded({})
TRAILING = {"activate_bps": 35, "distance_bps": 15}
ORDER = {dotted(path): place for place, (path, _) in enumerate(walk())}


def told(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (key, old, new) in words."""
    return [(change.key, *change.words()) for change in diff(loaded(old), loaded(new))]


def only(old: Loaded, new: Loaded) -> Change:
    """Return the one change."""
    (change,) = diff(old, new)
    return change


@given(PROFILES)
def test_a_profile_does_not_differ_from_itself(profile: Loaded) -> None:
    assert diff(profile, profile) == ()


@given(PROFILES, PROFILES)
def test_exactly_the_settings_whose_values_differ_are_told(old: Loaded, new: Loaded) -> None:
    before, after = ({dotted(path): value for path, value in leaves(each.profile)} for each in (old, new))
    changes = {change.key: change for change in diff(old, new)}
    differing = {key for key in before | after if before.get(key, ABSENT) != after.get(key, ABSENT)}
    assert set(changes) == differing
    for key, change in changes.items():
        assert change.key == dotted(change.path)
        assert change.old == before.get(key, change.old)
        assert change.new == after.get(key, change.new)
        assert (change.old, change.new) != (change.new, change.old)


@given(PROFILES, PROFILES)
def test_the_way_back_is_the_same_with_old_and_new_swapped_and_is_never_looser_too(old: Loaded, new: Loaded) -> None:
    there, back = diff(old, new), diff(new, old)
    assert [(one.key, one.old, one.new, one.reload) for one in there] == [
        (one.key, one.new, one.old, one.reload) for one in back
    ]
    assert [one.words() for one in there] == [one.words()[::-1] for one in back]
    assert not [one.key for one, other in zip(there, back, strict=True) if one.looser and other.looser]


@given(PROFILES, PROFILES)
def test_tables_are_told_in_the_order_they_are_declared_in(old: Loaded, new: Loaded) -> None:
    places = [ORDER[str(change.path[0])] for change in diff(old, new)]
    assert places == sorted(places)


@given(PROFILES, PROFILES)
def test_a_change_has_the_strictest_class_around_it(old: Loaded, new: Loaded) -> None:
    for change in diff(old, new):
        section, inside = change.path[0], change.key
        if section in ("venue", "bot") or inside.startswith("feed.recorded."):
            assert change.reload == "restart"
        if inside.startswith(("feed.synthetic.", "drop.anchor.")):
            assert change.reload == "rebuild"
        if section in ("budget", "exits", "execution"):
            assert change.reload == "live"


@pytest.mark.parametrize(
    ("path", "reload"),
    [(path, setting.reload) for path, setting in walk() if path[0] == "features" and setting.leaf],
)
def test_a_toggle_has_its_own_class(path: tuple[str, ...], reload: str) -> None:
    flipped = not getattr(DEFAULTS.profile.features, path[-1])
    assert only(DEFAULTS, loaded({"features": {path[-1]: flipped}})).reload == reload


def test_a_table_that_is_switched_is_told_as_a_whole_and_by_its_settings() -> None:
    on = {"exits": {"trailing": TRAILING}}
    assert told({}, on) == [
        ("exits.trailing", '"off"', "{ activate_bps = 35, distance_bps = 15 }"),
        ("exits.trailing.activate_bps", "none", "35"),
        ("exits.trailing.distance_bps", "none", "15"),
    ]
    assert told(on, {"exits": {"trailing": {**TRAILING, "distance_bps": 10}}}) == [
        ("exits.trailing.distance_bps", "15", "10")
    ]


def test_values_are_told_as_they_would_be_written() -> None:
    assert told(
        {"market": {"symbols": ["BTC/USDT"]}, "budget": {"max_exposure_quote": 10_000}},
        {"market": {"symbols": []}, "exits": {"max_hold_s": "off"}, "features": {"buying": False}},
    ) == [
        ("market.symbols", '["BTC/USDT"]', "[]"),
        ("budget.max_exposure_quote", "10_000", "1_000_000_000"),
        ("exits.max_hold_s", "86_400", '"off"'),
        ("features.buying", "true", "false"),
    ]


def test_steps_are_told_by_their_place() -> None:
    old = {"execution": {"steps": [{"tif": "IOC"}, {"tif": "FOK"}]}}
    new = {"execution": {"steps": [{"tif": "GTC"}, {"tif": "FOK"}, {"tif": "FOK", "offset_bps": 3}]}}
    assert told(old, new) == [
        ("execution.steps[0].tif", '"IOC"', '"GTC"'),
        ("execution.steps[2].type", "none", '"limit"'),
        ("execution.steps[2].tif", "none", '"FOK"'),
        ("execution.steps[2].offset_bps", "none", "3"),
    ]


def test_the_same_value_written_otherwise_is_no_change() -> None:
    assert told({"drop": {"threshold_bps": 250, "confirm_s": 1}}, {"drop": {"confirm_s": 1.0}}) == []


class TestOrigins:
    """Where the new value stands."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("base.toml").write_text(
            '[drop]\nthreshold_bps = 200\n[exits]\ntrailing = "off"\n[execution]\nsteps = [{ tif = "FOK" }]\n'
        )
        Path("p.toml").write_text(
            'extends = "base.toml"\n[drop.symbol."BTC/USDT"]\nthreshold_bps = 120\n'
            "[exits.trailing]\nactivate_bps = 35\ndistance_bps = 15\n"
            '[[execution.steps]]\ntif = "IOC"\n[[execution.steps]]\ntif = "GTC"\n'
        )

    def test_a_value_that_is_there_stands_where_it_was_written(self) -> None:
        changes = {change.key: str(change.origin) for change in diff(load_profile("base", {}), load_profile("p", {}))}
        assert changes == {
            'drop.symbol."BTC/USDT".threshold_bps': "p.toml:3",
            "execution.steps[0].tif": "p.toml:8",
            "execution.steps[1].type": "default",
            "execution.steps[1].tif": "p.toml:10",
            "execution.steps[1].offset_bps": "default",
            "exits.trailing": "p.toml:5",
            "exits.trailing.activate_bps": "p.toml:5",
            "exits.trailing.distance_bps": "p.toml:6",
        }

    def test_a_value_that_is_gone_stands_where_what_holds_instead_does(self) -> None:
        changes = {change.key: str(change.origin) for change in diff(load_profile("p", {}), load_profile("base", {}))}
        assert changes == {
            'drop.symbol."BTC/USDT".threshold_bps': "base.toml:2",
            "execution.steps[0].tif": "base.toml:6",
            "execution.steps[1].type": "base.toml:6",
            "execution.steps[1].tif": "base.toml:6",
            "execution.steps[1].offset_bps": "base.toml:6",
            "exits.trailing": "base.toml:4",
            "exits.trailing.activate_bps": "base.toml:4",
            "exits.trailing.distance_bps": "base.toml:4",
        }

    def test_a_value_that_falls_back_comes_from_the_default(self) -> None:
        Path("none.toml").write_text("")
        before = load_profile("base", {})
        assert {str(change.origin) for change in diff(before, load_profile("none", {}))} == {"default"}

    def test_variables_and_toggles_are_origins(self) -> None:
        old = load_profile("p", {})
        variable = only(old, load_profile("p", {"TRADEBOT__DROP__SYMBOL__BTC_USDT__THRESHOLD_BPS": "130"}))
        assert str(variable.origin) == "$TRADEBOT__DROP__SYMBOL__BTC_USDT__THRESHOLD_BPS"
        toggle = only(old, load_profile("p", {}, switches={"buying": False}))
        assert (toggle.key, toggle.words(), str(toggle.origin)) == (
            "features.buying",
            ("true", "false"),
            "feature override",
        )


def test_values_of_any_length_are_told_in_short_words() -> None:
    (change,) = told({"market": {"symbols": []}}, {"market": {"symbols": [f"A{n}/USDT" for n in range(5_000)]}})
    assert change[1] == "[]"
    assert change[2].startswith('["A0/USDT", "A1/USDT"')
    assert change[2].endswith("…")
    assert len(change[2]) < 1_100
    tiny = Decimal("1e-40")
    assert len(told({}, {"budget": {"per_trade_quote": tiny}})[0][2]) < 50
