"""How is a setting declared? Once: named with its unit, typed, bounded, with default, sentence, reload class."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

ReloadClass = Literal["live", "rebuild", "restart"]


class Table(BaseModel):
    """Base of every TOML table: strict, frozen, unknown keys refused, docstrings are the settings' sentences."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


def setting(default: Any = ..., *, reload: ReloadClass = "live", **bounds: Any) -> Any:
    """Return the field of one setting.

    `bounds` are pydantic's own (`ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `pattern`).
    `reload` says what an edit of it needs in the running bot.
    """
    if default is ... or not callable(default):
        return Field(default, json_schema_extra={"x-reload": reload}, **bounds)
    return Field(default_factory=default, json_schema_extra={"x-reload": reload}, **bounds)


def _to_decimal(value: Any) -> Any:
    """Take TOML's numbers (int, or Decimal from the loader); leave anything else to the type's own refusal."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def _to_float(value: Any) -> Any:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    return value


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_NUMBER = WithJsonSchema({"type": "number"})

Number = Annotated[Decimal, BeforeValidator(_to_decimal), _NUMBER]
"""An exact decimal number: money, basis points, shares."""

Seconds = Annotated[float, BeforeValidator(_to_float)]
"""A duration in seconds, fractions allowed."""

Real = Annotated[float, BeforeValidator(_to_float)]
"""A number that only signals, simulations and waits use."""

AsTuple = BeforeValidator(_to_tuple)
"""Let a TOML array stand where a tuple is declared: `Annotated[tuple[str, ...], AsTuple]`."""
