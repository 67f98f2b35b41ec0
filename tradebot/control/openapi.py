"""How do the requests read as an OpenAPI 3.1 document? Asked by the door itself and by `tradebot schema`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from tradebot.control.messages import MOST_BODY_BYTES, ROUTES, STREAM, WHO, Problem, Route

API_VERSION = "1"
"""Of the paths below /v1; another one where a client of this one would be misled."""

_INTRO = (
    "Spoken over the unix socket control.sock in the bot's durable home, for its owner only. Money, prices and amounts"
    f" are decimal numbers as text, times are milliseconds UTC. A request holds at most {MOST_BODY_BYTES} bytes; what"
    " is not declared here is refused. Errors: 400 not understood, 404 no such path, 405 wrong method, 408 sent too"
    " slowly, 409 not now, 413 too large, 500 failed, 503 too many clients, 504 not done yet (the work goes on)."
)


@cache
def document_text() -> str:
    """Return the document as JSON, the same for the same routes."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    types = [_type(route) for route in ROUTES]
    bodies = [route.body for route in ROUTES if route.body is not None]
    wanted = [*types, *bodies, Problem]
    schemas, components = msgspec.json.schema_components(wanted, ref_template="#/components/schemas/{name}")
    answers = dict(zip((route.name for route in ROUTES), schemas, strict=False))
    asked = dict(zip(bodies, schemas[len(types) :], strict=False))
    problem = _content("application/json", schemas[-1], "Not done, and why.")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operation: dict[str, Any] = {
            "operationId": route.name,
            "summary": route.sentence,
            "parameters": _parameters(route),
            "responses": {"200": _content(_media(route), answers[route.name], route.sentence), "default": problem},
        }
        if route.body is not None:
            content = {"application/json": {"schema": asked[route.body]}}
            operation["requestBody"] = {"required": _required(route.body), "content": content}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "tradebot control door", "version": API_VERSION, "description": _INTRO},
        "servers": [{"url": "http://bot", "description": "any host name: the socket chooses the bot"}],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _type(route: Route) -> Any:
    """Return the type of an answer; a line of the stream is an object of any fields."""
    return dict[str, Any] if route.answer is bytes else route.answer


def _media(route: Route) -> str:
    return STREAM if route.answer is bytes else "application/json"


def _content(media: str, schema: Any, sentence: str) -> dict[str, Any]:
    return {"description": sentence, "content": {media: {"schema": schema}}}


def _required(body: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(body))


def _parameters(route: Route) -> list[dict[str, Any]]:
    who = {"type": "string", "maxLength": 64, "default": "door"}
    found: list[dict[str, Any]] = []
    if "{name}" in route.path:
        found.append({"name": "name", "in": "path", "required": True, "schema": {"type": "string"}})
    if route.query is not None:
        fields = msgspec.json.schema_components([route.query])[1][route.query.__name__]["properties"]
        found += [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    if route.method == "POST":
        found.append({"name": WHO, "in": "header", "description": "who asks, for the history", "schema": who})
    return found
