"""What goes wrong at the exchange in a case? Every fault of the sandbox, by family and by the request it befalls; asked
by `cases`. A fault is words of a faults file (docs/faults.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

Words = Mapping[str, Any]


class Target(Struct, frozen=True):
    """A request that a case is about: what kind of command it is, and its `nth` occasion of a symbol."""

    kind: str
    on: str
    symbol: str = ""
    nth: int = 1

    def struck(self, words: Words) -> dict[str, Any]:
        """Return a fault that befalls just this request."""
        where: dict[str, Any] = {"on": self.on, "nth": self.nth, "times": 1}
        return {**where, **({"symbol": self.symbol} if self.symbol else {}), **words}


_ANSWERS: Final = (
    *("hang", "reset", "close", "truncate", "cut_json", "empty_200", "html", "maintenance"),
    *("status 500", "status 504"),
)
_LOST: Final = {"action": "reset", "stage": "after"}
_EVERY: Final = {"on": "user.executionReport"}
_LATE: Final = {"action": "late", "delay_ms": 250}
_TWICE: Final = {"times": 2}
_SYMBOLS: Final = {"order.cancel", "order.place", "order.status"}


def families(target: Target) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return every fault that can befall a request, by family."""
    found: dict[str, tuple[dict[str, Any], ...]] = {"none": ()}
    for words in _ANSWERS:
        action, _, status = words.partition(" ")
        for stage in ("before", "after"):
            step = {"action": action, "stage": stage, **({"status": int(status)} if status else {})}
            found[f"{words} {stage}"] = (target.struck(step),)
    for stage in ("before", "after"):
        found[f"delay {stage}"] = (target.struck({"action": "delay", "delay_ms": 120, "stage": stage}),)
        found[f"past the timeout {stage}"] = (target.struck({"action": "delay", "delay_ms": 420, "stage": stage}),)
        found[f"twice {stage}"] = (target.struck({"action": "reset", "stage": stage, **_TWICE}),)
    found["ban"] = (target.struck({"action": "ban", "retry_after_s": 1}),)
    found["freeze"] = (target.struck({"action": "freeze", "for_ms": 400}),)
    found["skew"] = (target.struck({"action": "skew", "skew_ms": -900}),)
    found["terminate"] = (target.struck({"action": "terminate"}),)
    found["shutdown notice"] = (target.struck({"action": "shutdown_notice"}),)
    if target.on in {"order.place", "order.cancel"}:
        found |= _of_orders(target)
    if target.on == "order.place":
        found |= _of_placing(target)
    if target.on == "order.status":
        found["lag"] = (target.struck({"action": "lag", "queries": 2, "times": 4}),)
    return found


def _of_orders(target: Target) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return what befalls the answer and the user events of an order together."""
    found: dict[str, tuple[dict[str, Any], ...]] = {
        "reply first": (target.struck({"action": "reply_first", "delay_ms": 60}),),
        "event first": (target.struck({"action": "event_first", "delay_ms": 60}),),
    }
    own = {**_EVERY, "symbol": target.symbol}
    for action in ("drop", "duplicate", "reorder", "delay", "unknown_event", "unknown_fields"):
        found[f"event {action}"] = ({**own, "action": action, "delay_ms": 120},)
    found["event disconnect"] = ({**own, "nth": target.nth, "times": 1, "action": "disconnect"},)
    found["event half-open"] = ({**own, "nth": target.nth, "times": 1, "action": "half_open"},)
    found["lost and no events"] = (target.struck(_LOST), {**own, "action": "drop"})
    return found


def _of_placing(target: Target) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return what befalls an order that is placed: found late, accepted late, refused."""
    lag = {"on": "order.status", "symbol": target.symbol, "action": "lag", "queries": 2, "times": 4}
    found: dict[str, tuple[dict[str, Any], ...]] = {
        "lost and found late": (target.struck(_LOST), lag),
        "lost, found late, no events": (
            target.struck(_LOST),
            lag,
            {**_EVERY, "symbol": target.symbol, "action": "drop"},
        ),
        "refused": (target.struck({"action": "status", "status": 400, "code": -2010, "message": "No."}),),
        "halt": (target.struck({"action": "halt"}),),
    }
    for reply in ("status", "hang", "reset"):
        found[f"accepted late, {reply}"] = (target.struck({**_LATE, "reply": reply}),)
    return found


def lost_before(target: Target, placing: Sequence[Target]) -> tuple[dict[str, Any], ...]:
    """Return what makes a bot ask for an order of the target's symbol: an answer that never came."""
    first = next((each for each in placing if each.symbol == target.symbol), placing[0])
    return (first.struck(_LOST),)
