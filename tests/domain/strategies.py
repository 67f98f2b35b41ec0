"""Which values can a record of the domain hold? Hypothesis strategies, read off the record's own type hints."""

from __future__ import annotations

import functools
import operator
import types
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(
    min_value=Decimal("-1e15"), max_value=Decimal("1e15"), allow_nan=False, allow_infinity=False, places=8
)
integers = st.integers(-(2**53), 2**53)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: names,
    int: integers,
    float: finite,
    bool: st.booleans(),
    Decimal: decimals,
    Any: st.dictionaries(names, st.integers(0, 9), max_size=2),
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of the values that the type hint `hint` allows.

    Raises TypeError on a hint the domain has not used before.
    """
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in {Union, types.UnionType}:
        return st.one_of([values(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[values(argument) for argument in arguments])
    if origin is list:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return records(hint)
    raise TypeError(f"no strategy for {hint!r}")


@functools.cache
def records(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Return a strategy of whole records of `kind`, every field drawn."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in msgspec.structs.fields(kind)})


def concrete(base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Return every leaf class under `base`, in order of definition."""
    children = base.__subclasses__()
    return functools.reduce(operator.iadd, [concrete(child) for child in children], []) if children else [base]
