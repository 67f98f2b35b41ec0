"""Is the profile in force the one that was asked for, and does every value know where it comes from?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.profile import Profile


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that has a `profiles/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    return tmp_path


def write(path: str, text: str) -> None:
    """Write a profile below the working folder."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def faults(name: str, environ: dict[str, str] | None = None) -> list[str]:
    """Return what is wrong with a profile, as it is told."""
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile(name, environ or {})
    return [str(fault) for fault in invalid.value.faults]


def origins(loaded: Loaded) -> dict[str, str]:
    """Return where the values that are not defaults come from."""
    return {key: str(origin) for key, origin in loaded.origins.items() if str(origin) != "default"}


@pytest.mark.parametrize("name", ["prod", "prod.toml", "profiles/prod", "profiles/prod.toml", "./profiles/prod.toml"])
def test_a_profile_is_found_by_path_or_name(name: str) -> None:
    write("profiles/prod.toml", "[bot]\nseed = 7\n")
    loaded = load_profile(name, {})
    assert (loaded.name, Path(loaded.path), loaded.profile.bot.seed) == ("prod", Path("profiles/prod.toml"), 7)


def test_a_path_comes_before_a_name_in_profiles() -> None:
    write("profiles/prod.toml", "[bot]\nseed = 1\n")
    write("prod.toml", "[bot]\nseed = 2\n")
    assert load_profile("prod.toml", {}).profile.bot.seed == 2


def test_an_absolute_path_is_a_path(folder: Path) -> None:
    write("deep/er/p.toml", "[bot]\nseed = 3\n")
    assert load_profile(str(folder / "deep/er/p.toml"), {}).profile.bot.seed == 3


def test_a_folder_of_the_same_name_is_no_profile() -> None:
    Path("demo").mkdir()
    write("profiles/demo.toml", "")
    assert load_profile("demo", {}).path == "profiles/demo.toml"


def test_a_missing_profile_is_told_with_the_nearest() -> None:
    write("profiles/production.toml", "")
    assert faults("producton") == [
        "producton: there is no such profile; looked for producton, producton.toml, profiles/producton, "
        "profiles/producton.toml; did you mean production.toml?"
    ]


@pytest.mark.parametrize("name", ["profiles/mine.toml", "./profiles/mine.toml"])
def test_a_missing_profile_of_the_folder_is_not_looked_for_in_a_folder_within(name: str) -> None:
    assert faults(name) == [f"{name}: there is no such profile; looked for {name}"]


def test_a_name_that_is_empty_is_told() -> None:
    assert faults("") == ["profile: its name is empty"]


def test_a_name_that_no_file_can_have_is_told() -> None:
    write("p.toml", 'extends = "a\\u0000b"\n')
    assert faults("p") == [
        'p.toml:1:1: extends: "a\\u0000b" is not a file: write "base.toml" or ["base.toml", "more.toml"]'
    ]


def test_a_missing_base_is_told_at_its_name_with_the_nearest() -> None:
    write("profiles/base.toml", "")
    write("profiles/p.toml", '\nextends = ["base.toml", "bases.toml"]\n')
    assert faults("p") == [
        "profiles/p.toml:2:25: extends: there is no file profiles/bases.toml; did you mean base.toml?"
    ]


def test_a_base_that_is_a_folder_is_told() -> None:
    Path("profiles/base.toml").mkdir()
    write("profiles/p.toml", 'extends = "base.toml"\n')
    assert faults("p") == ["profiles/p.toml:1:1: extends: profiles/base.toml is a folder"]


def test_an_empty_profile_is_the_defaults() -> None:
    write("p.toml", "")
    loaded = load_profile("p", {})
    assert loaded.profile == Profile()
    assert origins(loaded) == {}


def test_files_are_laid_in_order_and_every_value_knows_its_own() -> None:
    write("profiles/base.toml", "[drop]\nthreshold_bps = 100\ncooldown_s = 1\nconfirm_s = 1\n")
    write("profiles/fast.toml", "[drop]\ncooldown_s = 2\nconfirm_s = 2\n")
    write("profiles/p.toml", 'extends = ["base.toml", "fast.toml"]\n[drop]\nconfirm_s = 3\n')
    loaded = load_profile("p", {})
    drop = loaded.profile.drop
    assert (drop.threshold_bps, drop.cooldown_s, drop.confirm_s) == (Decimal(100), 2.0, 3.0)
    assert origins(loaded) == {
        "drop.threshold_bps": "profiles/base.toml:2",
        "drop.cooldown_s": "profiles/fast.toml:2",
        "drop.confirm_s": "profiles/p.toml:3",
    }


def test_a_base_that_lies_in_profiles_is_hinted_at_by_the_way_to_it() -> None:
    write("profiles/base.toml", "")
    write("mine.toml", 'extends = "base.toml"\n')
    assert faults("mine.toml") == [
        "mine.toml:1:1: extends: there is no file base.toml; did you mean profiles/base.toml?"
    ]


def test_a_base_is_found_beside_the_file_that_extends_it() -> None:
    write("shared/root.toml", "[bot]\nseed = 5\n")
    write("profiles/teams/base.toml", 'extends = "../../shared/root.toml"\n')
    write("profiles/p.toml", 'extends = "teams/base.toml"\n')
    loaded = load_profile("p", {})
    assert loaded.profile.bot.seed == 5
    assert [file.path for file in loaded.files] == ["shared/root.toml", "profiles/teams/base.toml", "profiles/p.toml"]
    assert loaded.files[0].source == b"[bot]\nseed = 5\n"


def test_a_base_reached_twice_is_laid_once_and_lowest() -> None:
    write("profiles/base.toml", "[bot]\nseed = 1\n")
    write("profiles/a.toml", 'extends = "base.toml"\n[bot]\nseed = 2\n')
    write("profiles/b.toml", 'extends = "base.toml"\n')
    write("profiles/p.toml", 'extends = ["a.toml", "b.toml"]\n')
    loaded = load_profile("p", {})
    assert loaded.profile.bot.seed == 2
    assert [Path(file.path).stem for file in loaded.files] == ["base", "a", "b", "p"]


def test_a_circle_is_named_through_every_file() -> None:
    write("profiles/a.toml", 'extends = "b.toml"\n')
    write("profiles/b.toml", 'extends = "c.toml"\n')
    write("profiles/c.toml", 'extends = "a.toml"\n')
    assert faults("a") == ["profiles/c.toml:1:1: extends: goes in a circle: a.toml -> b.toml -> c.toml -> a.toml"]


def test_a_circle_through_a_symlink_is_a_circle() -> None:
    write("profiles/a.toml", 'extends = "b.toml"\n')
    Path("profiles/b.toml").symlink_to("a.toml")
    assert faults("a") == ["profiles/a.toml:1:1: extends: goes in a circle: a.toml -> b.toml"]


def test_an_array_above_replaces_the_array_below() -> None:
    write("base.toml", '[[execution.steps]]\ntif = "IOC"\n[[execution.steps]]\ntif = "GTC"\n')
    write("p.toml", 'extends = "base.toml"\n[execution]\nsteps = [{ tif = "FOK" }]\n')
    loaded = load_profile("p", {})
    assert [step.tif for step in loaded.profile.execution.steps] == ["FOK"]
    assert origins(loaded) == {"execution.steps[0].tif": "p.toml:3"}


def test_a_table_above_takes_the_place_of_off_and_off_that_of_a_table() -> None:
    write("off.toml", '[exits]\ntrailing = "off"\n')
    write("on.toml", 'extends = "off.toml"\n[exits.trailing]\nactivate_bps = 120\ndistance_bps = 60\n')
    write("off_again.toml", 'extends = "on.toml"\n[exits]\ntrailing = "off"\n')
    trailing = load_profile("on", {}).profile.exits.trailing
    assert trailing is not None
    assert trailing.distance_bps == 60
    again = load_profile("off_again", {})
    assert again.profile.exits.trailing is None
    assert origins(again) == {"exits.trailing": "off_again.toml:3"}


def test_money_is_what_was_written_to_the_last_digit() -> None:
    write("p.toml", "[budget]\nper_trade_quote = 100.10000000000000000001\n")
    assert load_profile("p", {}).profile.budget.per_trade_quote == Decimal("100.10000000000000000001")


def test_a_fault_below_is_told_below_and_one_above_first() -> None:
    write("base.toml", "[drop]\ntreshold_bps = 1\n")
    write("p.toml", 'extends = "base.toml"\n[exits]\ntake_profit_bps = 15\n[bot]\nsed = 1\n')
    assert [line.split(": ")[0] for line in faults("p")] == ["p.toml:3:1", "p.toml:5:1", "base.toml:2:1"]


def test_an_unreadable_base_does_not_hide_the_faults_above_it() -> None:
    write("base.toml", "[drop\n")
    write("p.toml", 'extends = "base.toml"\n[bot]\nsed = 1\n')
    assert [line.split(": ")[0] for line in faults("p")] == ["p.toml:3:1", "base.toml:1:6"]


def test_a_rule_is_not_asked_about_a_value_that_is_in_doubt() -> None:
    write("p.toml", '[exits]\ntake_profit_bps = "x"\n[venue.paper]\ntaker_fee_bps = 200\n')
    assert len(faults("p")) == 1


def test_arrays_without_end_are_told() -> None:
    write("p.toml", f"x = {'[' * 3000}{']' * 3000}\n")
    assert faults("p") == ["p.toml:1:1: arrays or tables are nested too deeply"]


def test_a_file_that_cannot_be_read_is_told() -> None:
    Path("p.toml").symlink_to("/proc/self/mem")
    assert faults("p") == ["p.toml: cannot be read: input/output error"]


def test_a_toggles_override_is_laid_over_files_and_environment() -> None:
    write("p.toml", "[features]\nbuying = false\nexits = false\n")
    loaded = load_profile("p", {"TRADEBOT__FEATURES__BUYING": "false"}, switches={"buying": True, "metrics": False})
    features = loaded.profile.features
    assert (features.buying, features.exits, features.metrics) == (True, False, False)
    assert origins(loaded) == {
        "features.buying": "feature override",
        "features.exits": "p.toml:3",
        "features.metrics": "feature override",
    }


def test_an_override_of_no_toggle_is_a_fault_with_the_nearest() -> None:
    write("p.toml", "[bot]\nsed = 1\n")
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile("p", {}, switches={"buyin": False, "x": True})
    first, near, none = map(str, invalid.value.faults)
    assert first.startswith("p.toml:2:1: bot.sed: ")
    assert near == "feature override: features.buyin: names no toggle; did you mean buying?"
    assert none.startswith("feature override: features.x: names no toggle; the toggles are buying, exits, ")


def test_a_rule_that_an_override_breaks_is_told_at_the_override() -> None:
    write("p.toml", '[reload]\nmode = "confirm"\n')
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile("p", {}, switches={"control_door": False})
    (fault,) = invalid.value.faults
    assert (fault.file, fault.line, fault.key) == ("feature override", 0, "reload.mode")


def test_an_override_does_not_hide_a_table_that_is_none() -> None:
    write("p.toml", "features = 3\n")
    with pytest.raises(ProfileInvalid, match=r"p.toml:1:1: features: 3 is not a table"):
        load_profile("p", {}, switches={"buying": False})


def test_an_override_does_not_hide_a_fault_of_the_value_it_stands_over() -> None:
    write("p.toml", "[features]\nbuying = 1\n")
    with pytest.raises(ProfileInvalid, match=r"p.toml:2:1: features.buying: 1 is not true or false"):
        load_profile("p", {}, switches={"buying": False})
