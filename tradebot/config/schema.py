"""What does an editor need to check a profile while it is typed? Asked by `tradebot schema`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tradebot.config.base import Table
from tradebot.config.catalogue import Setting, settings_of
from tradebot.config.faults_file import FaultsFile
from tradebot.config.profile import Profile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES = {"flag": "boolean", "whole": "integer", "number": "number", "text": "string"}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}


def schema_text() -> str:
    """Return the JSON Schema of a profile as it is kept in `schemas/profile.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def faults_schema_text() -> str:
    """Return the JSON Schema of a faults file as it is kept in `schemas/faults.schema.json`."""
    tables: dict[str, Any] = {}
    properties = _properties(FaultsFile, tables)
    return json.dumps(_document("tradebot sandbox faults", properties, tables), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a profile; `x-unit`, `x-reload` and `x-looser` say what it cannot.

    Nothing is required: a profile may extend another that says the rest.
    """
    tables: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "extends": {
            "description": "The file, or the files in order, that this profile builds on, beside it.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        }
    }
    properties.update(_properties(Profile, tables))
    return _document("tradebot profile", properties, tables)


def _document(title: str, properties: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": dict(sorted(tables.items())),
    }


def _properties(table: type[Table], tables: dict[str, Any]) -> dict[str, Any]:
    return {name: _property(setting, tables) for name, setting in settings_of(table).items()}


def _property(setting: Setting, tables: dict[str, Any]) -> dict[str, Any]:
    value = _value(setting, tables)
    if setting.unset is not None:
        value = {"anyOf": [value, {"const": setting.unset}]}
    about: dict[str, Any] = {"description": setting.sentence, **value}
    if setting.leaf and not setting.required:
        about["default"] = setting.unset if setting.default is None else _plain(setting.default)
    if setting.unit:
        about["x-unit"] = setting.unit
    about["x-reload"] = setting.reload
    if setting.looser:
        about["x-looser"] = setting.looser
    return about


def _value(setting: Setting, tables: dict[str, Any]) -> dict[str, Any]:
    match setting.kind:
        case "choice":
            return {"type": "string", "enum": list(setting.choices)}
        case "texts":
            return {"type": "array", "items": {"type": "string"}}
        case "table":
            return _reference(setting, tables)
        case "named":
            return {"type": "object", "additionalProperties": _reference(setting, tables)}
        case "tables":
            lengths = {"minItems": setting.min_length, "maxItems": setting.max_length}
            limits = {name: length for name, length in lengths.items() if length is not None}
            return {"type": "array", "items": _reference(setting, tables), **limits}
    value: dict[str, Any] = {"type": _TYPES[setting.kind]}
    for name, word in _BOUNDS.items():
        if getattr(setting, name) is not None:
            value[word] = _plain(getattr(setting, name))
    if setting.min_length is not None:
        value["minLength"] = setting.min_length
    return value


def _reference(setting: Setting, tables: dict[str, Any]) -> dict[str, Any]:
    table = setting.table
    if table is None:
        raise TypeError(f"{setting.name} is no table")
    name = table.__name__
    if name not in tables:
        tables[name] = {}
        tables[name] = {"type": "object", "additionalProperties": False, "properties": _properties(table, tables)}
        required = [key for key, inner in settings_of(table).items() if inner.required]
        if required:
            tables[name]["required"] = required
    return {"$ref": f"#/$defs/{name}"}


def _plain(value: Any) -> Any:
    """Return a default or a bound as JSON has it; whole numbers without a point."""
    match value:
        case bool() | str():
            return value
        case int() | float() | Decimal():
            return int(value) if value == int(value) else float(value)
        case Table():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return [_plain(item) for item in value]
