"""Do schema, reference, template and `show` say what the models say? All are read back or compared."""

from __future__ import annotations

import json
import subprocess
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.catalogue import walk
from tradebot.config.leaves import leaves
from tradebot.config.loader import load_profile
from tradebot.config.looser import MEANING
from tradebot.config.profile import Profile
from tradebot.config.reference import lines, reference
from tradebot.config.schema import DIALECT, schema
from tradebot.config.show import as_toml, effective
from tradebot.config.template import template
from tradebot.config.toml_text import literal

LEAVES = [path for path, setting in walk() if setting.leaf]
SHIPPED = ["base", "demo", "paper", "prod.example", "replay", "sandbox", "the-work"]


@pytest.fixture
def _root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def test_the_template_reads_back_as_the_defaults() -> None:
    assert Profile.model_validate(tomllib.loads(template(), parse_float=Decimal)) == Profile()


def test_the_template_with_its_examples_in_force_is_a_sound_profile(tmp_path: Path) -> None:
    text = template().replace('trailing = "off"\n', "", 1)
    for line in ("[venue.paper.symbol", "tick_size", "amount_step", "min_notional", "[drop.symbol", "threshold_bps"):
        text = text.replace(f"\n# {line}", f"\n{line}")
    for line in ("[exits.trailing]", "activate_bps", "distance_bps"):
        text = text.replace(f"\n# {line}", f"\n{line}")
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    profile = load_profile(str(tmp_path / "p.toml"), {}).profile
    assert profile.exits.trailing is not None
    assert list(profile.drop.symbol) == list(profile.venue.paper.symbol) == ["BTC/USDT"]


def test_the_template_says_every_setting_with_its_sentence() -> None:
    text = template()
    for path, setting in walk():
        if setting.leaf:
            told = f"\n#   {path[-1]}: {setting.sentence}" if "[]" in path[-2] else f"\n# {setting.sentence}\n"
            assert told in text, path
            assert f"\n{path[-1]} = " in text or f"\n# {path[-1]} = " in text or "[]" in path[-2], path


def test_the_reference_and_the_help_say_every_setting() -> None:
    text = reference()
    told = "\n".join(lines())
    for path, setting in walk():
        if setting.leaf:
            assert f"| `{path[-1]}`<br>{setting.sentence} |" in text, path
            assert f"{'.'.join(path)} = " in told, path


def test_help_reference_template_and_schema_say_which_side_of_a_limit_is_looser() -> None:
    limits = [path for path, setting in walk() if setting.leaf and setting.looser]
    assert {("budget", "max_positions"), ("features", "exits"), ("reload", "mode")} <= set(limits)
    told = [line for line in lines() if MEANING in line]
    assert [line.split(" = ")[0] for line in told] == [".".join(path) for path in limits]
    assert 'exits.stop_loss_bps = 400  (a number above 0 and below 10_000 (bps), or "off" · live · ' in "\n".join(told)
    assert 'live · looser when higher or "off", which waits for a confirmation)' in "\n".join(told)
    assert '| live; looser: "off" |' in reference()  # the trailing stop as a whole
    assert MEANING in reference()
    assert 'one of auto, confirm · live · looser: "auto"\n' in template()
    assert schema()["$defs"]["Features"]["properties"]["exits"]["x-looser"] == "false"
    assert "x-looser" not in schema()["$defs"]["Features"]["properties"]["metrics"]


def test_the_schema_declares_every_setting_with_its_class() -> None:
    document = schema()
    assert document["$schema"] == DIALECT
    found: list[tuple[str, ...]] = []

    def enter(table: dict[str, Any], path: tuple[str, ...]) -> None:
        for name, about in table["properties"].items():
            if (*path, name) == ("extends",):
                continue
            assert about["description"].endswith(".")
            assert about["x-reload"] in ("live", "rebuild", "restart")
            value = about["anyOf"][0] if "anyOf" in about else about
            nested = value.get("$ref") or value.get("additionalProperties", {}).get("$ref")
            nested = nested or value.get("items", {}).get("$ref")
            if not nested or value.get("type") == "array":
                found.append((*path, name))
            if nested:
                named = "additionalProperties" in value
                mark = (*path, name, "<symbol>") if named else (*path, f"{name}[]" if "items" in value else name)
                enter(document["$defs"][nested.rpartition("/")[2]], mark)

    enter(document, ())
    assert sorted(found) == sorted(LEAVES)


def test_the_schema_carries_bounds_units_and_words() -> None:
    table = schema()["$defs"]
    assert table["Exits"]["properties"]["stop_loss_bps"] == {
        "description": "Loss below the entry price at which a position is sold.",
        "anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10000}, {"const": "off"}],
        "default": 400,
        "x-unit": "bps",
        "x-reload": "live",
        "x-looser": "higher",
    }
    assert table["Step"]["properties"]["tif"]["enum"] == ["IOC", "FOK", "GTC", "PO"]
    assert table["Trailing"]["required"] == ["activate_bps", "distance_bps"]


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_is_sound_and_names_its_schema(name: str) -> None:
    loaded = load_profile(name, {})
    first = loaded.files[-1].source.decode().splitlines()[0]
    assert (Path("profiles") / first.removeprefix("#:schema ")).resolve() == Path(
        "schemas/profile.schema.json"
    ).resolve()


@pytest.mark.usefixtures("_root")
def test_every_shipped_profile_is_known() -> None:
    listed = subprocess.run(["git", "ls-files", "profiles/*.toml"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: what is shipped cannot be told from the operator's own profiles")
    assert sorted(Path(line).stem for line in listed.stdout.splitlines()) == SHIPPED


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("with_origins", [False, True])
def test_what_is_shown_reads_back_as_the_same_profile(name: str, with_origins: bool, tmp_path: Path) -> None:
    loaded = load_profile(name, {})
    (tmp_path / "shown.toml").write_text(effective(loaded, with_origins), encoding="utf-8")
    assert load_profile(str(tmp_path / "shown.toml"), {}).profile == loaded.profile


@pytest.mark.usefixtures("_root")
def test_origins_are_shown_behind_every_value() -> None:
    loaded = load_profile("demo", {"TRADEBOT__DROP__CONFIRM_S": "1"})
    shown = effective(loaded, with_origins=True)
    assert "# $TRADEBOT__DROP__CONFIRM_S" in shown
    values = [line for line in shown.splitlines() if " = " in line and not line.endswith("= [")]
    assert values
    assert all("  # profiles/" in line or "  # $" in line for line in values)
    assert set(loaded.origins) == {key for key in loaded.origins if key}
    assert len(loaded.origins) == len(list(leaves(loaded.profile)))


@pytest.mark.usefixtures("_root")
def test_the_work_is_declared_to_the_letter() -> None:
    profile = load_profile("the-work", {}).profile
    anchor, drop, exits, paper = profile.drop.anchor, profile.drop, profile.exits, profile.venue.paper
    assert (anchor.kind, anchor.window_s, anchor.window_buckets) == ("rolling_high", 3600.0, 60)
    assert (drop.threshold_bps, drop.rearm, drop.cooldown_s, drop.confirm_s) == (Decimal(150), False, 0.0, 0.0)
    assert (exits.take_profit_bps, exits.stop_loss_bps) == (Decimal(100), Decimal(200))
    assert exits.trailing is None
    assert exits.max_hold_s is None
    assert [step.type for step in (*profile.execution.steps, *exits.steps)] == ["market", "market"]
    assert (paper.taker_fee_bps, paper.fee_in, paper.fee_places) == (Decimal(10), "quote", 18)
    assert (paper.amount_step, paper.tick_size) == (Decimal("1e-8"), Decimal("1e-4"))
    assert (paper.entry_latency_ms, paper.response_latency_ms, paper.jitter_ms) == (0, 0, 0)
    assert profile.feed.recorded.spread_bps == 0
    assert profile.market.decide_on == "candle_close"
    assert profile.budget.per_trade_quote == 100


@given(
    st.recursive(
        st.one_of(
            st.text(),
            st.integers(-(10**12), 10**12),
            st.booleans(),
            st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_value_written_in_toml_reads_back(value: Any) -> None:
    text = literal(value)
    assert "\n" not in text
    assert tomllib.loads(f"value = {text}", parse_float=Decimal)["value"] == value


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_a_duration_written_in_toml_reads_back(value: float) -> None:
    assert float(tomllib.loads(f"value = {literal(value)}")["value"]) == value


def test_the_schema_is_json_of_plain_numbers() -> None:
    text = json.dumps(schema())
    assert "NaN" not in text
    assert "Infinity" not in text


def test_a_profile_of_symbols_with_odd_names_reads_back() -> None:
    raw = {"drop": {"symbol": {'A"B/USDT': {"threshold_bps": 1}, "Ω/USDT": {"threshold_bps": 2}}}}
    profile = Profile.model_validate(raw)
    assert Profile.model_validate(tomllib.loads(as_toml(profile), parse_float=Decimal)) == profile
