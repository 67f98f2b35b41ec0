"""How is a setting declared? Once: name, type, bounds, default, sentence, reload class. Asked by every table."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

ReloadClass = Literal["live", "rebuild", "restart"]

RELOAD = "x-reload"
UNSET = "x-unset"
FORM = "x-form"
LOOSER = "x-looser"
MEANS = "x-means"

PLACES = 40
"""Most decimal places of a number: no price or amount has more, and a text of it would have no end."""

TOO_FINE = "too_fine"
"""The type of the error of a number with more."""


class Table(BaseModel):
    """Base of every TOML table: strict, frozen, unknown keys refused, docstrings are the settings' sentences.

    TOML has no null: where a setting may be without a value, its declared word (`unset`) stands for that.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _read_unset_words(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        read = dict(data)
        for name, value in data.items():
            field = cls.model_fields.get(name)
            if field is not None and isinstance(value, str) and value == extra(field, UNSET):
                read[name] = None
        return read


def extra(field: FieldInfo, name: str) -> str | None:
    """Return what a field declares beside pydantic's own (`RELOAD`, `UNSET`, `FORM`, `LOOSER`, `MEANS`), or None."""
    declared = field.json_schema_extra
    value = declared.get(name) if isinstance(declared, dict) else None
    return value if isinstance(value, str) else None


def setting(
    default: Any = ...,
    *,
    reload: ReloadClass = "live",
    unset: str | None = None,
    form: str | None = None,
    looser: str | None = None,
    means: str | None = None,
    **bounds: Any,
) -> Any:
    """Return the field of one setting.

    `bounds` are pydantic's own (`ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `pattern`).
    `reload` says what an edit of it needs in the running bot. `unset` is the word an operator writes for
    "without a value" (where the type allows None), `form` says a `pattern` in words.

    `looser` marks a risk limit: "higher" or "lower" says which direction of a number is looser, any other word is the
    looser value itself ("auto", "true", "false"); to be without a value is the loosest of all, unless `means` names
    the attribute of the same table that holds instead.
    """
    declared = {RELOAD: reload, UNSET: unset, FORM: form, LOOSER: looser, MEANS: means}
    about: dict[str, Any] = {name: value for name, value in declared.items() if value is not None}
    if default is ... or not callable(default):
        return Field(default, json_schema_extra=about, **bounds)
    return Field(default_factory=default, json_schema_extra=about, **bounds)


def _to_decimal(value: Any) -> Any:
    """Take TOML's numbers (int, or Decimal from the loader); leave anything else to the type's own refusal."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite() and int(value.as_tuple().exponent) < -PLACES:
        raise PydanticCustomError(TOO_FINE, "has too many decimal places")
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
