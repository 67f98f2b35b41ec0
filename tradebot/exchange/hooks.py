"""Where is ccxt listened to? A sub-class of whichever exchange, made on the spot; asked by construction.

What ccxt's errors leave out is noted where the answer comes in, the user stream is taken as it was sent, and every
message that breaks a handler ends its connection: ccxt would go on waiting on it for ever.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from tradebot.config.secrets import mask
from tradebot.exchange.budget import ASKING, RETRY_AFTER, Budget, weight_of
from tradebot.exchange.dialects import Dialect
from tradebot.exchange.evidence import TRAIL, Evidence, attach, evidence_in, evidence_of

_CCXT: Any = object


def _ignore(_message: Mapping[str, Any]) -> None:
    """Drop a report: nobody listens."""


def _ignore_address(_url: str) -> None:
    """Drop the news of a connection: nobody listens."""


def _ignore_fate(_error: Exception | None) -> None:
    """Drop what became of a request: nobody listens."""


class Taps:
    """Who is told. `on_report` gets each raw execution report, `on_connected` the address of a socket that opened,
    `on_fate` what each request over REST raised, None where it was answered.
    """

    __slots__ = ("budget", "dialect", "on_connected", "on_fate", "on_report", "urgent")

    def __init__(self, budget: Budget, dialect: Dialect, *, urgent: bool) -> None:
        self.budget = budget
        self.dialect = dialect
        self.urgent = urgent
        self.on_report: Callable[[Mapping[str, Any]], None] = _ignore
        self.on_connected: Callable[[str], None] = _ignore_address
        self.on_fate: Callable[[Exception | None], None] = _ignore_fate


def hooked(base: Any, taps: Taps) -> Any:
    """Return a sub-class of ccxt's class `base` that tells `taps`."""
    own: dict[str, Any] = {"tradebot_taps": taps}
    if taps.dialect.raw_reports:
        own["handle_order_update"] = _report
        own["handle_balance"] = _no_balance
    return type(f"Hooked{base.__name__.capitalize()}", (_RestHooks, _SocketHooks, base), own)


def _report(self: Any, _client: Any, message: Any) -> None:
    self.tradebot_taps.on_report(message)


def _no_balance(self: Any, _client: Any, _message: Any) -> None:
    """Keep no balances: they hold only what changed, and ccxt fails on them where nobody watches balances."""


class _RestHooks(_CCXT):  # type: ignore[misc]  # stands before a class known only at run time
    tradebot_taps: Taps
    _tradebot_answer: Evidence

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        taps = self.tradebot_taps
        priority = ASKING.get() or ("safety" if taps.urgent else "poll")
        ticket = taps.budget.admit(priority, weight_of(url) if method == "GET" else 1)
        trail = TRAIL.get()
        if trail is not None:
            trail.leaves(time.monotonic())
        answered = False
        try:
            answer = await super().fetch(url, method, headers, body)
            answered = True
        except Exception as error:
            answered = evidence_of(error) is not None
            taps.on_fate(error)
            raise
        finally:
            taps.budget.done(ticket, answered=answered)
        taps.on_fate(None)
        return answer

    def log(self, *told: Any) -> None:
        """Tell what ccxt would print: whole requests with their headers, once somebody makes it `verbose`."""
        self.logger.warning(mask(" ".join(str(each) for each in told)))

    def handle_errors(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        response: Any,
        request_headers: Any,
        request_body: Any,
    ) -> Any:
        taps = self.tradebot_taps
        if isinstance(response, Mapping) and isinstance(limits := response.get("rateLimits"), list):
            taps.budget.note_limits(limits)
        evidence = evidence_in(code, response, taps.dialect)
        taps.budget.note(code, headers, evidence.venue_code)
        trail = TRAIL.get()
        if trail is not None:
            trail.evidence, trail.answer = evidence, response
        try:
            seen = super().handle_errors(
                code, reason, url, method, headers, body, response, request_headers, request_body
            )
            if code < 400 and response is None:
                from ccxt.base.errors import BadResponse  # type: ignore[import-untyped]

                raise BadResponse(f"{self.id}: the answer is not JSON")
        except Exception as error:
            attach(error, evidence)
            raise
        self._tradebot_answer = evidence
        return seen

    def handle_http_status_code(self, code: int, reason: str, url: str, method: str, body: str) -> None:
        try:
            super().handle_http_status_code(code, reason, url, method, body)
        except Exception as error:
            # ccxt calls this right after handle_errors, without a pause between: it is the same answer
            attach(error, self._tradebot_answer)
            raise


class _SocketHooks(_CCXT):  # type: ignore[misc]  # stands before a class known only at run time
    tradebot_taps: Taps

    def client(self, url: str) -> Any:
        client = super().client(url)
        if not hasattr(client, "tradebot_guarded"):
            client.tradebot_guarded = True
            client.future = _heard(client)
            client.handle_message = _guarded(client, self.milliseconds)
            client.create_connection = _dialled(client, self.tradebot_taps)
        return client

    def on_connected(self, client: Any, message: Any = None) -> None:
        client.lastPong = self.milliseconds()  # ccxt begins to count at its first ping only
        super().on_connected(client, message)
        self.tradebot_taps.on_connected(client.url)

    def handle_message(self, client: Any, message: Any) -> None:
        _note_ban(self.tradebot_taps, message)
        if _event_of(message) == "serverShutdown":
            end(client, "the exchange is about to shut this connection")
        else:
            super().handle_message(client, message)

    def handle_event_stream_terminated(self, client: Any, _message: Any) -> None:
        end(client, "the exchange ended the user stream")


def end(client: Any, why: str) -> None:
    """End a socket of ccxt: whoever waits on it gets a NetworkError, and the next call opens another."""
    from ccxt.base.errors import NetworkError

    client.on_error(NetworkError(why))


def _dialled(client: Any, taps: Taps) -> Callable[[Any], Awaitable[Any]]:
    """Return how a socket is opened: not while the exchange wants nothing, since each attempt makes a ban longer."""
    create = client.create_connection

    async def dialled(session: Any) -> Any:
        taps.budget.while_open()
        try:
            return await create(session)
        except aiohttp.WSServerHandshakeError as error:
            taps.budget.note(error.status, error.headers or {})
            raise

    return dialled


def _note_ban(taps: Taps, message: Any) -> None:
    """Take note of a ban or a pause that a request over a socket is answered with (`retryAfter` is a time in ms)."""
    if not isinstance(message, Mapping) or message.get("status") not in {418, 429}:
        return
    error = message.get("error")
    data = error.get("data") if isinstance(error, Mapping) else None
    headers = {}
    if isinstance(data, Mapping):
        now_ms, until_ms = data.get("serverTime"), data.get("retryAfter")
        if isinstance(now_ms, int) and isinstance(until_ms, int):
            headers[RETRY_AFTER] = str(max(0, until_ms - now_ms) / 1000)
    taps.budget.note(message["status"], headers)


def _guarded(client: Any, now_ms: Callable[[], int]) -> Callable[[Any], None]:
    handle = client.handle_message

    def guarded(message: Any) -> None:
        client.lastPong = now_ms()  # any frame is a sign of life; a pong may wait behind many of them
        try:
            handle(message)
        except Exception as error:  # noqa: BLE001 - the border to ccxt's handlers: one that fails would stop the reading
            end(client, f"a message could not be read ({type(error).__name__})")

    return guarded


def _heard(client: Any) -> Callable[[str], Any]:
    """Return ccxt's maker of futures for a client: one that fails when nobody waits any more is no news for the log."""
    make = client.future

    def future(message_hash: str) -> Any:
        found = make(message_hash)
        found.remove_done_callback(_retrieve)
        found.add_done_callback(_retrieve)
        return found

    return future


def _retrieve(future: Any) -> None:
    if not future.cancelled():
        future.exception()


def _event_of(message: Any) -> str:
    if not isinstance(message, Mapping):
        return ""
    inner = message.get("event")
    event = inner.get("e") if isinstance(inner, Mapping) else message.get("e")
    return event if isinstance(event, str) else ""
