"""What does the exchange answer to a call? Asked by REST and the ws-api, which carry the same calls.

A call is named as the ws-api names its method (`order.place`); REST routes lead to the same names, and those that exist
there alone have names of their own (`sapi.asset.tradeFee`). `Calls` counts the request, verifies who signed it and runs
it; the carrier only parses and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.limits import Limits
from tradebot.sandbox.params import Params
from tradebot.sandbox.signing import Keyring, Signed
from tradebot.sandbox.wire_errors import ApiError

Security = Literal["none", "key", "signed", "trade"]


class Asked(NamedTuple):
    """A call under way: its parameters, who asks (the account is "" where nobody signed), and the server's time."""

    params: Params
    account: str
    address: str
    now_ms: int


class Call(NamedTuple):
    """One call: who may make it, what it weighs (from its parameters), and what it does.

    `run` returns what becomes JSON, or raises ApiError.
    """

    security: Security
    weight: Callable[[Mapping[str, str]], int]
    run: Callable[[Asked], Any]


class Answer(Struct):
    """What a client is answered: `body` becomes JSON; `headers` tell limits and when to come again."""

    status: int
    body: Any
    headers: dict[str, str]


class Done(NamedTuple):
    """What a call that was made returns, and whose it was ("" where nobody signed)."""

    account: str
    body: Any


def always(weight: int) -> Callable[[Mapping[str, str]], int]:
    """Return a weight that hangs on nothing."""
    return lambda _sent: weight


ORDERS_COUNTED: Final = frozenset({"order.place", "order.cancelReplace"})


class Calls:
    """Every call by its name, with what is asked of each before it runs."""

    def __init__(
        self,
        exchange: Exchange,
        keys: Keyring,
        limits: Limits,
        now_ms: Callable[[], int],
        table: Mapping[str, Call],
    ) -> None:
        self.exchange = exchange
        self.keys = keys
        self.limits = limits
        self.now_ms = now_ms
        self._table = dict(table)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a call."""
        return name in self._table

    def run(self, name: str, sent: Mapping[str, str], address: str, signed: Signed) -> Done:
        """Make a call. Raises ApiError, also where there is none of this name."""
        call = self._table.get(name)
        if call is None:
            raise ApiError(-1000, f"Unknown method '{name[:60]}'.")
        now_ms = self.now_ms()
        self.limits.ask(address, call.weight(sent), now_ms)
        account = self._allowed(call, sent, signed, now_ms)
        if name in ORDERS_COUNTED:
            self.limits.ask_order(account, now_ms)
        return Done(account, call.run(Asked(Params(sent), account, address, now_ms)))

    def answer(self, name: str, sent: Mapping[str, str], address: str, signed: Signed) -> Answer:
        """Make a call; what it refuses is answered like everything else."""
        try:
            done = self.run(name, sent, address, signed)
        except ApiError as refusal:
            headers = self.limits.headers(address, "", self.now_ms())
            if refusal.retry_after_s is not None:
                headers["Retry-After"] = str(refusal.retry_after_s)
            return Answer(refusal.status, refusal.body(), headers)
        orders = name in ORDERS_COUNTED
        return Answer(200, done.body, self.limits.headers(address, done.account, self.now_ms(), orders=orders))

    def _allowed(self, call: Call, sent: Mapping[str, str], signed: Signed, now_ms: int) -> str:
        if call.security == "none":
            return ""
        if call.security == "key":
            return self.keys.named(signed.key).key
        return self.keys.verify(signed, sent, now_ms, trade=call.security == "trade")
