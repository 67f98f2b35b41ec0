"""What may be asked at the control door, and what is answered? Asked by server, client and the API's document.

The table `ROUTES` is the one place where a request is declared. Answers are the views of `tradebot.domain.views`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tradebot.domain.views import (
    ComparedView,
    Done,
    DriftAction,
    DriftView,
    GenerationView,
    OutcomeView,
    Snapshot,
    StatusView,
    SwitchView,
)

WHO = "X-Tradebot-Who"
"""The header that names the asker; without it the history says "door"."""

MOST_BODY_BYTES = 65_536
"""Longest request that is read."""

STREAM = "application/x-ndjson"
"""Content of the event stream: one JSON object a line."""

HEARTBEAT = b'{"heartbeat":true}\n'
"""The stream's first line, and what it says where there is nothing to tell."""

HEARTBEAT_S = 5.0
"""Longest silence of a stream that lives."""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every request: what is not declared is refused."""


class Plain(Request, frozen=True):
    """A request that says nothing beyond its path."""


class Reload(Request, frozen=True):
    """Read the profile again; with `confirm`, what waits for a confirmation is applied.

    `shown` is the beginning of the digest of the text that was seen (the `digest` of what waits): where another one
    waits by now, it goes on waiting.
    """

    confirm: bool = False
    shown: Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}$")] = ""


class Rollback(Request, frozen=True):
    """Bring a generation back; null is the one before that in force."""

    generation: Annotated[int, Meta(ge=1)] | None = None


class Switching(Request, frozen=True):
    """Set a toggle over the profile; null clears what was set."""

    on: bool | None


class Rearm(Request, frozen=True):
    """Let stopped actions of a symbol be tried again; "" means every symbol."""

    symbol: Annotated[str, Meta(max_length=60)] = ""


class DriftAnswer(Request, frozen=True):
    """Settle a difference between account and ledger.

    `what` is a symbol or an asset; `price` is what each was sold for or cost, null where it is not known.
    """

    what: Annotated[str, Meta(min_length=1, max_length=60)]
    action: DriftAction
    price: Decimal | None = None


class HistoryQuery(Request, frozen=True):
    """How many generations, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class Problem(Struct, frozen=True):
    """Why a request was not answered as asked; `where` is the path, or the place in the request."""

    error: str
    where: str


class Route(Struct, frozen=True):
    """One request. `path` may hold `{name}`; `body` and `query` are declared where it takes any."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    sentence: str
    answer: Any
    body: type[Request] | None = None
    query: type[Request] | None = None


ROUTES = (
    Route("status", "GET", "/v1/status", "How the run is going.", StatusView),
    Route("snapshot", "GET", "/v1/snapshot", "Everything that is shown of the run.", Snapshot),
    Route("features", "GET", "/v1/features", "Every toggle.", tuple[SwitchView, ...]),
    Route(
        "history",
        "GET",
        "/v1/history",
        "The latest generations, newest first.",
        tuple[GenerationView, ...],
        query=HistoryQuery,
    ),
    Route("openapi", "GET", "/v1/openapi.json", "This document.", dict[str, Any]),
    Route("events", "GET", "/v1/events", "Every log record from here on, one JSON object a line.", bytes),
    Route("reload", "POST", "/v1/reload", "Read the profile again.", OutcomeView, Reload),
    Route("rollback", "POST", "/v1/rollback", "Bring a generation of the profile back.", OutcomeView, Rollback),
    Route("switch", "POST", "/v1/features/{name}", "Set or clear a toggle.", OutcomeView, Switching),
    Route("pause", "POST", "/v1/pause", "Buy nothing until resumed.", Done, Plain),
    Route("resume", "POST", "/v1/resume", "Buy again.", Done, Plain),
    Route("drift", "GET", "/v1/drift", "Where the account differed from the ledger last.", tuple[DriftView, ...]),
    Route(
        "compare_drift",
        "POST",
        "/v1/drift/compare",
        "Compare the account with the ledger now, and tell where it differs.",
        ComparedView,
        Plain,
    ),
    Route("settle_drift", "POST", "/v1/drift", "Settle one such difference.", Done, DriftAnswer),
    Route("flatten", "POST", "/v1/flatten", "Pause, end every buy and sell every position.", Done, Plain),
    Route("rearm", "POST", "/v1/rearm", "Try again what was stopped since it kept failing.", Done, Rearm),
    Route("stop", "POST", "/v1/stop", "End the run cleanly.", Done, Plain),
)
"""Every request there is."""

BY_NAME = {route.name: route for route in ROUTES}
"""The routes by name."""


def matching(path: str) -> list[tuple[Route, str]]:
    """Return the routes of `path`, whatever their method, each with the name in the path ("" where it has none)."""
    found = []
    for route in ROUTES:
        head, brace, _ = route.path.partition("{")
        name = path.removeprefix(head)
        if not brace and path == route.path:
            found.append((route, ""))
        elif brace and name and name != path and "/" not in name:
            found.append((route, name))
    return found
