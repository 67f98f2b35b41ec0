"""Does every setting refuse what it cannot take, in our words, at its own key?"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from tradebot.config.catalogue import NAME, Setting, settings_of, walk
from tradebot.config.env import nested
from tradebot.config.profile import Profile
from tradebot.config.wording import complaints, secret

LEAVES = [(path, setting) for path, setting in walk() if NAME not in path and not any("[]" in part for part in path)]
WRONG: list[Any] = [
    "some text",
    "",
    7,
    -7,
    Decimal("1.5"),
    Decimal("NaN"),
    Decimal("-Infinity"),
    True,
    date(2021, 4, 18),
]
WRONG += [[], [1], ["x"], [{}], [[]], {}, {"x": 1}]


def errors(path: tuple[str, ...], value: Any) -> list[tuple[str, str]]:
    """Return (key, message) of everything wrong with a profile that says `value` at `path` and nothing else."""
    try:
        Profile.model_validate(nested(path, value))
    except ValidationError as error:
        found = error.errors(include_url=False)
        return [(".".join(map(str, said.path)), said.message) for said in complaints(found)]
    return []


def needed(path: tuple[str, ...]) -> dict[str, Any]:
    """Return what else the table of `path` needs to be whole."""
    return {"activate_bps": 20, "distance_bps": 10} if path[-2] == "trailing" else {}


@pytest.mark.parametrize(("path", "setting"), LEAVES, ids=[".".join(path) for path, _ in LEAVES])
def test_a_refused_value_is_told_in_our_words_at_its_key(path: tuple[str, ...], setting: Setting) -> None:
    refused = 0
    for value in WRONG:
        for key, message in errors(path, value):
            refused += 1
            assert key.startswith(".".join(path)) or path[-2] == "trailing"
            for foreign in ("Input", "should", "a valid", "Decimal", "tuple", "dictionary", "str ", "Extra"):
                assert foreign not in message, (value, message)
    assert refused >= 5, setting


BOUNDED = [
    (path, name, getattr(setting, name))
    for path, setting in LEAVES
    for name in ("ge", "gt", "le", "lt")
    if getattr(setting, name) is not None
]


@pytest.mark.parametrize(("path", "name", "bound"), BOUNDED, ids=[f"{'.'.join(p)}-{n}" for p, n, _ in BOUNDED])
def test_a_bound_is_where_the_reference_says(path: tuple[str, ...], name: str, bound: float) -> None:
    exact = Decimal(str(bound))
    step = 1 if isinstance(bound, int) and exact == bound else Decimal("0.0001")
    at, beyond = exact, exact + (step if name in ("le", "lt") else -step)
    table = needed(path)

    def told(value: Decimal) -> list[tuple[str, str]]:
        whole = {**table, path[-1]: int(value) if value == int(value) else value}
        return errors(path[:-1], whole)

    key = ".".join(path)
    assert [found for found, _ in told(beyond)] == [key]
    assert [found for found, _ in told(at)] == ([] if name in ("ge", "le") else [key])


def test_every_setting_has_a_sentence_and_every_pattern_words() -> None:
    for path, setting in walk():
        assert setting.sentence.endswith("."), path
        assert setting.pattern is None or setting.form, path
        assert setting.required or setting.default is not None or setting.unset, path


def test_every_number_is_bounded_below_and_above() -> None:
    for path, setting in walk():
        if setting.kind in ("whole", "number"):
            assert (setting.ge is None) != (setting.gt is None), path
            assert (setting.le is None) != (setting.lt is None), path


def test_no_setting_is_taken_for_a_secret() -> None:
    assert [path for path, _ in walk() if secret(path[-1])] == []


@pytest.mark.parametrize(
    "key",
    ["api_key", "apiKey", "API_KEY", "secret", "api-secret", "password", "token", "bot_token", "private_key", "apikey"],
)
def test_a_secret_is_known_by_its_name(key: str) -> None:
    assert secret(key)
    said = errors(("venue", key), "value of it")
    assert [message.partition(":")[0] for _, message in said] == ["looks like a secret"]


def test_a_symbol_that_reads_like_a_secret_is_a_symbol() -> None:
    assert errors(("drop", "symbol", "TOKEN/USDT"), {"threshold_bps": 100}) == []


def test_several_mistakes_in_one_table_are_all_told() -> None:
    said = dict(errors(("exits",), {"take_profit_bps": "x", "stop_loss_bps": 0, "max_hold": 3}))
    assert set(said) == {"exits.take_profit_bps", "exits.stop_loss_bps", "exits.max_hold"}


def test_tables_declare_their_settings_once() -> None:
    names = list(settings_of(Profile))
    assert len(names) == len(set(names))
    assert all(setting.kind == "table" for setting in settings_of(Profile).values())
