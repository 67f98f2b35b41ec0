"""Does the environment override the files, and is a variable that means nothing refused?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded, load_profile


@pytest.fixture(autouse=True)
def _profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text('[drop]\nthreshold_bps = 250\n[drop.symbol."BTC/USDT"]\nthreshold_bps = 120\n')


def load(**environ: str) -> Loaded:
    """Load the profile under these variables."""
    return load_profile("p", environ)


def faults(**environ: str) -> list[str]:
    """Return what is told under these variables."""
    with pytest.raises(ProfileInvalid) as invalid:
        load(**environ)
    return [str(fault) for fault in invalid.value.faults]


def test_a_variable_overrides_the_file_and_is_named_as_the_origin() -> None:
    loaded = load(TRADEBOT__DROP__THRESHOLD_BPS="300.5")
    assert loaded.profile.drop.threshold_bps == Decimal("300.5")
    assert str(loaded.origins["drop.threshold_bps"]) == "$TRADEBOT__DROP__THRESHOLD_BPS"


def test_case_does_not_matter() -> None:
    loaded = load(tradebot__Execution__wait_MS__ioc="2_500")
    assert loaded.profile.execution.wait_ms.IOC == 2500


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("TRADEBOT__FEATURES__BUYING", "false", "buying", False),
        ("TRADEBOT__BOT__INSTANCE", "prod", "instance", "prod"),
        ("TRADEBOT__BOT__INSTANCE", "7", "instance", "7"),
        ("TRADEBOT__BOT__INSTANCE", '"quoted"', "instance", "quoted"),
        ("TRADEBOT__BOT__STATE_DIR", "/var/lib/tradebot", "state_dir", "/var/lib/tradebot"),
        ("TRADEBOT__MARKET__SYMBOLS", '["ETH/USDT", "BTC/USDT"]', "symbols", ("ETH/USDT", "BTC/USDT")),
        ("TRADEBOT__EXITS__MAX_HOLD_S", "off", "max_hold_s", None),
        ("TRADEBOT__DROP__REARM", "false # for a test", "rearm", False),
    ],
)
def test_a_value_is_read_as_toml_and_otherwise_as_text(variable: str, text: str, key: str, value: object) -> None:
    profile = load(**{variable: text}).profile
    table = getattr(profile, variable.split("__")[1].lower())
    assert getattr(table, key) == value


def test_a_whole_table_is_laid_over_the_files() -> None:
    anchor = load(TRADEBOT__DROP__ANCHOR='{ kind = "ema", window_s = 60 }').profile.drop.anchor
    assert (anchor.kind, anchor.window_s, anchor.window_buckets) == ("ema", 60.0, 240)


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC_USDT", "btc_usdt"])
def test_a_symbol_may_be_written_without_its_slash(symbol: str) -> None:
    loaded = load(**{f"TRADEBOT__DROP__SYMBOL__{symbol}__THRESHOLD_BPS": "80"})
    assert {name: own.threshold_bps for name, own in loaded.profile.drop.symbol.items()} == {"BTC/USDT": Decimal(80)}


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    assert faults(TRADEBOT__DROP__TRESHOLD_BPS="1", TRADEBOT__X="1") == [
        "$TRADEBOT__DROP__TRESHOLD_BPS: names no setting; did you mean TRADEBOT__DROP__THRESHOLD_BPS?",
        "$TRADEBOT__X: names no setting; after TRADEBOT__ come a table and a key, parted by __",
    ]


def test_a_variable_without_a_name_is_refused() -> None:
    assert faults(TRADEBOT__="1") == [
        "$TRADEBOT__: names no setting; after TRADEBOT__ come a table and a key, parted by __"
    ]


def test_other_variables_are_left_alone() -> None:
    assert load(TRADEBOT_DROP="1", XTRADEBOT__DROP="2", HOME="/").profile.drop.threshold_bps == 250


def test_a_faulty_value_is_told_at_the_variable() -> None:
    assert faults(TRADEBOT__BUDGET__MAX_POSITIONS="0", TRADEBOT__EXITS__TAKE_PROFIT_BPS="15") == [
        "$TRADEBOT__BUDGET__MAX_POSITIONS: budget.max_positions: 0 is too low: a whole number from 1 to 10_000 "
        "is allowed",
        "$TRADEBOT__EXITS__TAKE_PROFIT_BPS: exits.take_profit_bps: 15 is below two taker fees (20 bps): "
        "every win would lose",
    ]


def test_one_element_of_an_array_cannot_be_set() -> None:
    assert faults(TRADEBOT__EXECUTION__STEPS__0__TIF="GTC") == [
        "$TRADEBOT__EXECUTION__STEPS__0__TIF: an array is set as a whole: TRADEBOT__EXECUTION__STEPS='[…]'"
    ]


def test_two_spellings_of_one_setting_are_refused() -> None:
    assert faults(TRADEBOT__BOT__SEED="1", tradebot__bot__seed="2") == [
        "$tradebot__bot__seed: bot.seed: is also set by TRADEBOT__BOT__SEED: keep one of them"
    ]


def test_a_secret_is_refused_and_not_repeated() -> None:
    (told,) = faults(TRADEBOT__VENUE__API_KEY="sk-live-1234")
    assert told.startswith("$TRADEBOT__VENUE__API_KEY: no setting is a secret")
    assert "sk-live-1234" not in told


def test_a_table_given_as_something_else_is_refused() -> None:
    (told,) = faults(TRADEBOT__DROP__ANCHOR="ema")
    assert told.startswith('$TRADEBOT__DROP__ANCHOR: drop.anchor: "ema" is not a table with the keys kind')
