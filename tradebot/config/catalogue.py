"""Which settings exist, and what is declared about each? Asked by faults, schema, reference, help and `init`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from msgspec import Struct
from pydantic.fields import FieldInfo

from tradebot.config.base import FORM, LOOSER, MEANS, RELOAD, UNSET, ReloadClass, Table, extra
from tradebot.config.faults import Path
from tradebot.config.profile import Profile

Kind = Literal["flag", "whole", "number", "text", "choice", "texts", "table", "tables", "named"]

NAME = "<symbol>"
"""Stands in a setting's path for the name of a table that the operator chooses."""

_WORDS: dict[Kind, str] = {
    "flag": "true or false",
    "whole": "a whole number",
    "number": "a number",
    "text": "a text",
    "choice": "one of",
    "texts": "an array of texts",
    "table": "a table",
    "tables": "an array of tables",
    "named": "a table of tables",
}

_UNITS = {
    "per_s": "per second",
    "per_hour": "per hour",
    "s": "seconds",
    "ms": "milliseconds",
    "bps": "bps",
    "quote": "quote currency",
    "mb": "MB",
}


class Setting(Struct, frozen=True):
    """What is declared about one setting or table. `default` is None where there is none or where it is unset.

    `looser` is "" where it is no risk limit, else the direction ("higher", "lower") or the value that is looser;
    `means` is the attribute of its table that holds where it is unset, "" where nothing does.
    """

    name: str
    kind: Kind
    sentence: str
    reload: ReloadClass
    required: bool
    default: Any
    choices: tuple[str, ...] = ()
    ge: int | float | Decimal | None = None
    gt: int | float | Decimal | None = None
    le: int | float | Decimal | None = None
    lt: int | float | Decimal | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    form: str | None = None
    unset: str | None = None
    looser: str = ""
    means: str = ""
    unit: str = ""
    table: type[Table] | None = None

    @property
    def leaf(self) -> bool:
        """Whether it is a setting of its own, and not a table of settings."""
        return self.kind not in ("table", "named")


@cache
def settings_of(table: type[Table]) -> dict[str, Setting]:
    """Return the settings and tables of `table` by name, as declared."""
    return {name: _setting(name, field, table) for name, field in table.model_fields.items()}


def walk(table: type[Table] = Profile, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Setting]]:
    """Yield every setting and table with its path, in the order of declaration; a chosen name is `NAME`."""
    for name, found in settings_of(table).items():
        here = (*path, name)
        yield here, found
        if found.table is None:
            continue
        if found.kind == "named":
            here = (*here, NAME)
        elif found.kind == "tables":
            here = (*path, f"{name}[]")
        yield from walk(found.table, here)


def find(path: Path) -> Setting | None:
    """Return what is declared about `path`; a table for the elements of an array and for chosen names; else None."""
    table: type[Table] | None = Profile
    found: Setting | None = None
    inside = False  # whether the next part chooses an element or a name
    for part in path:
        if inside:
            inside = False
            continue
        if table is None or isinstance(part, int):
            return None
        found = settings_of(table).get(part)
        if found is None:
            return None
        table = found.table
        inside = found.kind in ("named", "tables", "texts")
    return found


def table_at(path: Path) -> type[Table] | None:
    """Return the model of the table at `path`, or None where no table with declared keys stands."""
    if not path:
        return Profile
    found = find(path)
    if found is None or found.table is None:
        return None
    if found.kind in ("named", "tables") and find(path[:-1]) is not found:
        return None  # the array or the outer table itself
    return found.table


def wanted(setting: Setting) -> str:
    """Return in words what may be written: `a number above 0, at most 600 (seconds), or "off"`."""
    words = _WORDS[setting.kind]
    if setting.choices:
        words += " " + ", ".join(setting.choices)
    limits = bounds(setting)
    if limits:
        words += f" {limits}"
    if setting.form:
        words += f" of {setting.form}"
    if setting.table is not None and setting.kind != "named":
        words += f" with the keys {', '.join(setting.table.model_fields)}"
    if setting.unit:
        words += f" ({setting.unit})"
    if setting.unset:
        words += f', or "{setting.unset}"'
    return words


def loosening(setting: Setting) -> str:
    """Return in words which values of a risk limit are looser: `higher or "off"`; "" where it is no limit."""
    if not setting.looser:
        return ""
    word = f'"{setting.looser}"' if setting.kind == "choice" else setting.looser
    if setting.table is not None:
        return f'"{setting.unset}"'
    return f'{word} or "{setting.unset}"' if setting.unset and not setting.means else word


def bounds(setting: Setting) -> str:
    """Return the bounds in words, "" where there are none."""
    ge, gt, le, lt = (None if x is None else number(x) for x in (setting.ge, setting.gt, setting.le, setting.lt))
    if ge is not None and le is not None:
        return f"from {ge} to {le}"
    if ge is not None and lt is None:
        return f"not below {ge}"
    low = f"of at least {ge}" if ge is not None else f"above {gt}" if gt is not None else ""
    high = f"at most {le}" if le is not None else f"below {lt}" if lt is not None else ""
    return " and ".join(filter(None, (low, high)))


def number(value: int | float | Decimal) -> str:
    """Return a number as TOML would have it, thousands parted: `2_592_000`."""
    return f"{int(value):_}" if value == int(value) else str(value)


def _setting(name: str, field: FieldInfo, owner: type[Table]) -> Setting:
    kind, choices, table = _kind(field.annotation)
    limits: dict[str, Any] = {}
    for item in field.metadata:
        match item:
            case Ge(ge=value):
                limits["ge"] = value
            case Gt(gt=value):
                limits["gt"] = value
            case Le(le=value):
                limits["le"] = value
            case Lt(lt=value):
                limits["lt"] = value
            case MinLen(min_length=value):
                limits["min_length"] = value
            case MaxLen(max_length=value):
                limits["max_length"] = value
            case _ if getattr(item, "pattern", None):
                limits["pattern"] = item.pattern
    return Setting(
        name=name,
        kind=kind,
        sentence=" ".join((field.description or (table.__doc__ if table else "") or "").split()),
        reload=_reload(field),
        required=field.is_required(),
        default=None if field.is_required() else field.get_default(call_default_factory=True, validated_data={}),
        choices=choices,
        form=extra(field, FORM),
        unset=extra(field, UNSET),
        looser=extra(field, LOOSER) or "",
        means=extra(field, MEANS) or "",
        unit=_unit(name, owner) if table is None else "",
        table=table,
        **limits,
    )


def _reload(field: FieldInfo) -> ReloadClass:
    declared = extra(field, RELOAD)
    return next((each for each in get_args(ReloadClass) if each == declared), "live")


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...], type[Table] | None]:
    """Return how a declared type is written in TOML, with its choices or its table."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    arguments = get_args(annotation)
    if NoneType in arguments:
        return _kind(next(item for item in arguments if item is not NoneType))
    simple: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", Decimal: "number", str: "text"}
    if annotation in simple:
        return simple[annotation], (), None
    origin = get_origin(annotation)
    if origin is Literal:
        return "choice", arguments, None
    if origin is dict:
        return "named", (), arguments[1]
    if origin is tuple:
        return ("texts", (), None) if arguments[0] is str else ("tables", (), arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return "table", (), annotation
    raise TypeError(f"{annotation!r} has no form in TOML")


def _unit(name: str, owner: type[Table]) -> str:
    """Return the unit that stands in a setting's name, or in its table's; "" where it has none."""
    if owner.__name__ == "WaitMs":
        return _UNITS["ms"]
    for suffix, unit in _UNITS.items():
        if name.endswith(f"_{suffix}"):
            rest = name.removesuffix(f"_{suffix}")
            return f"bps {unit}" if rest.endswith("_bps") else unit
    return ""
