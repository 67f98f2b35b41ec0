"""Which faults befall a rehearsal, and how often did they strike? Random ones, steered while it runs, or a file's."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from collections import Counter
from typing import Any, Final

from tradebot.config.faults_file import Fault

ANSWER_S: Final = 3.0

_SPOILED: Final[tuple[dict[str, Any], ...]] = (
    {"action": "reset"},
    {"action": "hang", "for_ms": 4_000},
    {"action": "status", "status": 503},
    {"action": "status", "status": 500},
    {"action": "status", "status": 504},
    {"action": "truncate"},
    {"action": "cut_json"},
    {"action": "empty_200"},
    {"action": "html", "status": 502},
)

_REQUESTS: Final = (
    *("order.place",) * 4,
    *("order.cancel",) * 2,
    *("order.status",) * 2,
    "openOrders.status",
    "myTrades",
    "account.status",
    "allOrders",
    "userDataStream.subscribe.signature",
)

_OTHERS: Final[tuple[dict[str, Any], ...]] = (
    {"on": "order.place", "action": "late", "delay_ms": 700},
    {"on": "order.place", "action": "late", "delay_ms": 700, "reply": "reset"},
    {"on": "order.place", "action": "delay", "delay_ms": 700},
    {"on": "order.place", "action": "delay", "delay_ms": 700, "stage": "after"},
    {"on": "order.place", "action": "reply_first"},
    {"on": "order.place", "action": "event_first"},
    {"on": "order.place", "action": "status", "status": 429, "retry_after_s": 1},
    {"on": "order.status", "action": "lag", "for_ms": 1_500},
    {"on": "openOrders.status", "action": "lag", "for_ms": 1_500},
    {"on": "myTrades", "action": "lag", "for_ms": 1_500},
    {"on": "user.executionReport", "action": "drop"},
    {"on": "user.executionReport", "action": "duplicate"},
    {"on": "user.executionReport", "action": "reorder"},
    {"on": "user.executionReport", "action": "delay", "delay_ms": 600},
    {"on": "user.executionReport", "action": "unknown_fields"},
    {"on": "user.executionReport", "action": "unknown_event"},
    {"on": "user.executionReport", "action": "disconnect"},
    {"on": "user.executionReport", "action": "half_open"},
    {"on": "user.outboundAccountPosition", "action": "drop"},
    {"on": "market.bookTicker", "action": "disconnect"},
    {"on": "market.bookTicker", "action": "half_open"},
    {"on": "market.trade", "action": "drop"},
    {"on": "order.place", "action": "terminate"},
    {"on": "order.place", "action": "shutdown_notice"},
    {"on": "order.place", "action": "freeze", "for_ms": 1_500},
    {"on": "order.place", "action": "ban", "retry_after_s": 2},
    {"on": "connect.user", "action": "reset"},
)


class Trouble:
    """Lets faults of a seed stand one after the other, and counts what struck; the exchange may die meanwhile."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.struck: Counter[str] = Counter()
        self.steered = 0
        self._rng = random.Random(f"faults {seed}")
        self._counted: dict[str, int] = {}

    def pause_s(self) -> float:
        """Return how long to wait before the next fault."""
        return self._rng.uniform(0.5, 2.5)

    def next(self) -> None:
        """Let one more fault stand, for one to three strikes."""
        fault = self._drawn()
        self.steered += 1
        fault["name"] = f"{fault['on']}.{fault['action']}.{fault.get('stage', 'before')}-{self.steered}".replace(
            "*", ""
        )
        Fault.model_validate(fault)
        self._say("POST", "/faults", fault)
        self.count()

    def clear(self) -> None:
        """Let no fault stand any more, no ban, no freeze and no skew."""
        self.count()
        for method, path, body in (
            ("DELETE", "/faults", None),
            ("DELETE", "/freeze", None),
            ("DELETE", "/ban", None),
            ("POST", "/clock", {"skew_ms": 0}),
        ):
            self._say(method, path, body)

    def count(self) -> None:
        """Add what struck since it was last asked."""
        told = self._say("GET", "/faults", None)
        for one in told["faults"] if told else ():
            name, strikes = str(one["name"]), int(one["strikes"])
            new = strikes - self._counted.get(name, 0)
            self._counted[name] = strikes
            if new > 0:
                self.struck[name.rpartition("-")[0] or name] += new
            if one["spent"]:
                self._say("DELETE", f"/faults/{name}", None)

    def began_anew(self) -> None:
        """Note that the exchange was started again: its counts are from nothing."""
        self._counted.clear()

    def _drawn(self) -> dict[str, Any]:
        rng = self._rng
        if rng.random() < 0.5:
            fault = dict(rng.choice(_OTHERS))
        else:
            fault = {"on": rng.choice(_REQUESTS), "stage": rng.choice(("before", "after")), **rng.choice(_SPOILED)}
        fault["times"] = rng.choice((1, 1, 1, 2, 3))
        return fault

    def _say(self, method: str, path: str, body: object) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/sandbox{path}", data=data, method=method)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - loopback
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path} {body}: {error.read().decode()}") from error
        except OSError:
            return None  # the exchange is dead just now, or begins
