"""Is the API's document valid, and does it say what the routes say?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from tradebot.control.messages import MOST_BODY_BYTES, ROUTES, matching
from tradebot.control.openapi import document_text
from tradebot.control.requests import ASKS


def test_the_document_is_openapi_3_1_and_names_every_route_once() -> None:
    document = json.loads(document_text())
    OpenAPIV31SpecValidator(document).validate()
    named = {
        (operation["operationId"], method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert named == {(route.name, route.method, route.path) for route in ROUTES}
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert str(MOST_BODY_BYTES) in document["info"]["description"]


def test_every_schema_that_is_named_is_there_and_none_else() -> None:
    text = document_text()
    schemas = json.loads(text)["components"]["schemas"]
    assert all(f'"#/components/schemas/{name}"' in text for name in schemas)


def test_what_is_sent_is_strict_and_what_is_answered_may_grow() -> None:
    schemas = json.loads(document_text())["components"]["schemas"]
    assert schemas["Reload"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["StatusView"]


def test_every_route_is_somebody_s_to_answer() -> None:
    assert set(ASKS) | {"openapi", "events"} == {route.name for route in ROUTES}


def test_a_path_leads_to_its_route_and_a_name_to_one_part_of_it() -> None:
    assert [(route.name, name) for route, name in matching("/v1/features/buying")] == [("switch", "buying")]
    assert [(route.name, name) for route, name in matching("/v1/features")] == [("features", "")]
    assert matching("/v1/features/a/b") == matching("/v1/features/") == matching("/v1") == []


def test_the_document_needs_no_server(root: Path) -> None:
    script = (
        "import sys; from tradebot.control.openapi import document_text; document_text();"
        " assert 'aiohttp' not in sys.modules and 'asyncio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)
