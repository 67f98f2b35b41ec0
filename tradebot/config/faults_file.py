"""Which faults shall the sandbox exchange have? The models of its faults file, asked by `tradebot sandbox --faults`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails

from tradebot.config.base import AsTuple, Real, Seconds, Table, setting
from tradebot.config.catalogue import settings_of, wanted
from tradebot.config.faults import Fault as Finding
from tradebot.config.faults import Path as Place
from tradebot.config.faults import ProfileInvalid, dotted, shown
from tradebot.config.positions import Mark
from tradebot.config.reading import read

REQUESTS: Final = (
    *("ping", "time", "exchangeInfo", "depth", "trades.recent", "trades.historical", "trades.aggregate"),
    *("klines", "uiKlines", "avgPrice", "ticker", "ticker.tradingDay"),
    *(
        "ticker.24hr",
        "ticker.price",
        "ticker.book",
        "account.status",
        "account.commission",
        "account.rateLimits.orders",
    ),
    *("order.place", "order.test", "order.cancel", "order.cancelReplace", "order.status"),
    *("openOrders.status", "openOrders.cancelAll", "allOrders", "myTrades", "sapi", "unknown"),
    *("openOrderLists.status", "allOrderLists", "myAllocations", "order.amendments", "session.status"),
    *("userDataStream.subscribe.signature", "userDataStream.unsubscribe", "connect.market", "connect.user"),
)
"""Every kind of request, named as the ws-api names its methods; a connection being opened counts as one."""

USER_EVENTS: Final = tuple(
    f"user.{name}" for name in ("executionReport", "outboundAccountPosition", "balanceUpdate", "eventStreamTerminated")
)
MARKET_EVENTS: Final = tuple(
    f"market.{name}"
    for name in (
        *("trade", "aggTrade", "bookTicker", "depthUpdate", "depth", "kline", "24hrMiniTicker", "24hrTicker"),
        *("1hTicker", "4hTicker", "1dTicker", "avgPrice"),
    )
)

RequestAction = Literal[
    "hang", "reset", "close", "status", "truncate", "cut_json", "empty_200", "html", "delay", "late", "lag",
    "reply_first", "event_first", "ban", "maintenance",
]  # fmt: skip
EventAction = Literal["delay", "duplicate", "drop", "reorder", "unknown_event", "unknown_fields"]
SocketAction = Literal["half_open", "disconnect"]
StateAction = Literal["halt", "resume", "delist", "skew", "freeze", "terminate", "shutdown_notice", "pass"]

Action = Literal[RequestAction, EventAction, SocketAction, StateAction]

_OF_REQUESTS: Final = frozenset(get_args(RequestAction)) - {"delay"}
_OF_EVENTS: Final = frozenset(get_args(EventAction) + get_args(SocketAction)) - {"delay"}


class Step(Table):
    """What happens when a fault strikes."""

    action: Action = setting()
    """What is done: to the answer, to the event, to its socket, or to the exchange as a whole."""

    stage: Literal["before", "after"] = setting("before")
    """Whether the request is lost before the exchange accepts it, or its answer after."""

    status: int = setting(0, ge=0, le=599)
    """The HTTP status of the answer; 0 is the action's own."""

    code: int = setting(0, le=0, ge=-99_999)
    """The exchange's error code in the answer; 0 is the action's own."""

    message: str = setting("")
    """The exchange's words in the answer; empty are the action's own."""

    delay_ms: int = setting(0, ge=0, le=600_000)
    """How long a delayed or late request waits, or how far answer and event are apart; 0 is the action's own."""

    for_ms: int = setting(0, ge=0, le=86_400_000)
    """How long a hang, a lag or a freeze lasts; 0 is the action's own."""

    queries: int = setting(0, ge=0, le=1_000)
    """Beyond `for_ms`: how many queries of an order miss it."""

    reply: Literal["status", "hang", "reset"] = setting("status")
    """How a late request is answered at once."""

    retry_after_s: int = setting(0, ge=0, le=259_200)
    """What Retry-After says first; each request during a ban doubles it; 0 is the action's own."""

    skew_ms: int = setting(0, ge=-86_400_000, le=86_400_000)
    """How far the exchange's clock is put forward, negative back."""

    how: Literal["silent", "stopped"] = setting("silent")
    """A freeze that answers nothing but the control paths, or the process stopped by a signal to itself."""


class Fault(Step):
    """A fault: what it waits for, and what it does then."""

    name: str = setting("", pattern=r"^[A-Za-z0-9_.-]{0,60}$", form="letters, digits, _ . and -")
    """How it is spoken of; without a name it is numbered."""

    on: str = setting(pattern=r"^[A-Za-z0-9*?.]+$", form="a kind of request or event, like order.place or user.*")
    """The kind of request or event it waits for; * stands for any text."""

    symbol: str = setting("")
    """The exchange's id of the symbol concerned, like BTCUSDT; empty is any."""

    client_id_prefix: str = setting("")
    """How the client order id concerned begins; empty is any."""

    execution: str = setting("")
    """The kind of an execution report concerned, like NEW or TRADE; empty is any."""

    via: Literal["any", "rest", "ws"] = setting("any")
    """The way the request comes in."""

    probability: Real = setting(1.0, ge=0, le=1)
    """How likely it strikes, by the file's seed."""

    nth: int = setting(1, ge=1, le=1_000_000)
    """The first of the occasions that it strikes."""

    times: int | None = setting(None, unset="always", ge=1, le=1_000_000)
    """How often it strikes."""

    script: Annotated[tuple[Step, ...], AsTuple] = setting((), max_length=1_000)
    """One step for each strike, in order, instead of its own; after the last it strikes no more."""

    action: Action = setting("pass")
    """What is done: to the answer, to the event, to its socket, or to the exchange as a whole."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        events = [kind for kind in (*USER_EVENTS, *MARKET_EVENTS) if fnmatchcase(kind, self.on)]
        requests = [kind for kind in REQUESTS if fnmatchcase(kind, self.on)]
        if not events and not requests:
            raise ValueError(f"on = {shown(self.on)} names no kind of request or event: {', '.join(KINDS)}")
        for step in self.steps:
            if step.action in _OF_REQUESTS and not requests:
                raise ValueError(f"{step.action} befalls a request, and {shown(self.on)} is an event")
            if step.action in _OF_EVENTS and not events:
                raise ValueError(f"{step.action} befalls an event, and {shown(self.on)} is a request")
        return self

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return what it does: its script, or itself as the only step."""
        return self.script or (self,)


KINDS: Final = (*REQUESTS, *USER_EVENTS, *MARKET_EVENTS)
"""Everything a fault can wait for."""


class MarketState(Table):
    """Symbols that are not traded from the beginning."""

    halted: Annotated[tuple[str, ...], AsTuple] = setting(())
    """Ids of symbols whose trading pauses (status BREAK)."""

    delisted: Annotated[tuple[str, ...], AsTuple] = setting(())
    """Ids of symbols that are gone."""


class SocketPace(Table):
    """How long sockets live, and how fast they may be."""

    ping_interval_s: Seconds = setting(20.0, gt=0, le=86_400)
    """How often the exchange sends a ping."""

    pong_deadline_s: Seconds = setting(60.0, gt=0, le=86_400)
    """A socket that answers no ping for so long is closed."""

    lifetime_s: Seconds = setting(86_400.0, gt=0, le=864_000)
    """How long a socket may stay open."""

    messages_per_s: int = setting(5, ge=1, le=100_000)
    """How many messages a market stream takes in a second, pings among them."""

    most_streams: int = setting(1_024, ge=1, le=1_000_000)
    """How many streams one socket follows."""

    queue_messages: int = setting(20_000, ge=1, le=10_000_000)
    """How many messages may wait for a slow reader before it is cut off."""


class FaultsFile(Table):
    """A faults file: the faults in order, and the state in which the exchange begins."""

    seed: int = setting(1, ge=0, le=2**63 - 1)
    """Decides every chance, so that a run can be repeated."""

    skew_ms: int = setting(0, ge=-86_400_000, le=86_400_000)
    """How far the exchange's clock is ahead, negative behind."""

    market: MarketState = setting(MarketState)
    sockets: SocketPace = setting(SocketPace)
    fault: Annotated[tuple[Fault, ...], AsTuple] = setting((), max_length=1_000)
    """The faults; of several that are due, the first strikes."""


def load_faults(file_path: str | os.PathLike[str]) -> FaultsFile:
    """Return what the faults file says. Raises `ProfileInvalid` with every fault of the text."""
    path = os.fspath(file_path)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise ProfileInvalid([Finding(path, 0, 0, "", f"cannot be read: {error.strerror or error}")]) from error
    parsed = read(path, source)
    if isinstance(parsed, Finding):
        raise ProfileInvalid([parsed])
    try:
        return FaultsFile.model_validate(parsed.tree)
    except ValidationError as error:
        found = [
            Finding(path, *_line(each["loc"], parsed.marks), dotted(each["loc"]), _words(FaultsFile, each))
            for each in error.errors(include_url=False)
        ]
        raise ProfileInvalid(sorted(found)) from error


def faults_in(told: Any) -> tuple[Fault, ...]:
    """Return the fault, or those under `fault`, that a client tells in JSON. Raises ValueError in words."""
    several = told.get("fault") if isinstance(told, dict) else told
    items: Sequence[Any] = several if isinstance(several, list) else [told]
    try:
        return tuple(Fault.model_validate(item) for item in items)
    except ValidationError as error:
        words = [f"{dotted(each['loc'])}: {_words(Fault, each)}" for each in error.errors(include_url=False)]
        raise ValueError("; ".join(words)) from error


def _line(path: Place, marks: dict[Place, Mark]) -> tuple[int, int]:
    """Return line and column of `path`, or of the nearest table above it that is written."""
    for length in range(len(path), 0, -1):
        mark = marks.get(path[:length])
        if mark is not None:
            return mark.line, mark.column
    return 1, 1


def _words(table: type[Table], error: ErrorDetails) -> str:
    """Return what is wrong with a value and what is allowed."""
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    declared = None
    known: type[Table] | None = table
    for part in error["loc"]:
        if known is None or isinstance(part, int):
            continue
        declared = settings_of(known).get(part)
        if declared is None:
            return f"unknown key; known here: {', '.join(known.model_fields)}"
        known = declared.table
    if declared is None:
        return error["msg"]
    return (
        f"missing: {wanted(declared)} is needed here"
        if error["type"] == "missing"
        else f"{wanted(declared)} is allowed"
    )
