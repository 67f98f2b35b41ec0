"""Which profiles are there at all? Any that the models take, made from the catalogue; asked by properties."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tradebot.config.base import Table
from tradebot.config.catalogue import Setting, settings_of
from tradebot.config.extends import ProfileFile
from tradebot.config.faults import dotted
from tradebot.config.leaves import leaves
from tradebot.config.loader import Loaded
from tradebot.config.merge import Origin
from tradebot.config.profile import Profile

SYMBOLS = ("BTC/USDT", "ETH/USDT", "Ω/USDT")
_TEXTS = {
    "instance": ("tradebot", "prod", "a-1"),
    "quote": ("USDT", "EUR"),
    "name": ("binance", "kraken"),
    "base_url": ("http://127.0.0.1:8900", "https://localhost"),
}
_GRAIN = Decimal("0.001")


def borders(setting: Setting) -> tuple[Decimal, Decimal]:
    """Return the least and the greatest number that may be written."""
    grain = 1 if setting.kind == "whole" else _GRAIN
    if setting.ge is not None:
        low = Decimal(str(setting.ge))
    else:
        low = Decimal(str(setting.gt)) + grain if setting.gt is not None else Decimal(-10_000)
    if setting.le is not None:
        high = Decimal(str(setting.le))
    else:
        high = Decimal(str(setting.lt)) - grain if setting.lt is not None else Decimal(10_000)
    return low, high


def values(setting: Setting) -> st.SearchStrategy[Any]:
    """Make any value that one setting takes, as TOML gives it."""
    found = _written(setting)
    return st.just(setting.unset) | found if setting.unset is not None else found


def _written(setting: Setting) -> st.SearchStrategy[Any]:
    low, high = borders(setting)
    match setting.kind:
        case "flag":
            return st.booleans()
        case "whole":
            return st.integers(int(low), int(high))
        case "number":
            return st.decimals(low, high, places=3)
        case "choice":
            return st.sampled_from(setting.choices)
        case "text":
            return st.sampled_from(_TEXTS.get(setting.name, ("here", "there/deep")))
        case "texts":
            return st.lists(st.sampled_from(SYMBOLS), unique=True)
    if setting.table is None:
        raise TypeError(f"{setting.name} is no table")
    inner = tables(setting.table)
    if setting.kind == "named":
        return st.dictionaries(st.sampled_from(SYMBOLS), inner)
    if setting.kind == "tables":
        return st.lists(inner, min_size=setting.min_length or 0, max_size=4)
    return inner


def tables(table: type[Table]) -> st.SearchStrategy[dict[str, Any]]:
    """Make any table of a model, as TOML gives it; what is not said is the default."""
    known = settings_of(table)
    needed = {name: values(setting) for name, setting in known.items() if setting.required}
    rest = {name: values(setting) for name, setting in known.items() if not setting.required}
    return st.fixed_dictionaries(needed, optional=rest)


def loaded(said: Mapping[str, Any]) -> Loaded:
    """Return what is loaded where a file says this; rules between settings are not asked."""
    profile = Profile.model_validate(said)
    origins = {dotted(path): Origin("p.toml", 1, 1, rank=0) for path, _ in leaves(profile)}
    return Loaded(profile, "p.toml", "p", (ProfileFile("p.toml", b""),), origins)


PROFILES = tables(Profile).map(loaded)
