"""How does another process speak to a bot? Through its control door; asked by the commands and the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar, cast
from urllib.parse import quote

import aiohttp
import msgspec

from tradebot.control.messages import (
    BY_NAME,
    HEARTBEAT,
    HEARTBEAT_S,
    WHO,
    DriftAnswer,
    Plain,
    Problem,
    Rearm,
    Reload,
    Request,
    Rollback,
    Switching,
)
from tradebot.control.place import SOCKET, address
from tradebot.domain.errors import TradebotError
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

ASK_S = 10.0
"""Longest wait for an answer that needs no work."""

WORK_S = 630.0
"""Longest wait for a change of the profile; the bot's own bound, `control.request_timeout_s`, is at most 600 s."""

MOST_LINE_BYTES = 1_048_576
"""Longest record of the event stream that is read."""

SILENCE_S = 4 * HEARTBEAT_S
"""Silence after which a stream is held to be dead."""

T = TypeVar("T")


class NoBot(TradebotError):
    """Nobody answers at the door: start the bot, or look elsewhere."""


class Refused(TradebotError):
    """The bot answered that it did not do what was asked; `status` is HTTP's."""

    def __init__(self, status: int, text: str, where: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.where = where


class Unanswered(TradebotError):
    """The bot heard the request and did not answer it whole: what was asked may have happened or not."""


class Silent(Unanswered):
    """The door took the request, and nothing came within the bound: the bot hangs, or is very busy."""


class Client:
    """Asks the bot whose durable home is `folder`; `who` names the asker in the bot's history.

    Every method raises NoBot, Refused and Unanswered. Use as `async with`.
    """

    def __init__(self, folder: Path, who: str = "door") -> None:
        self.path = folder / SOCKET
        self._folder = folder
        self._who = who
        self._held = ExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        try:
            place = self._held.enter_context(address(self._folder))
        except OSError as error:
            raise self._nobody() from error
        self._session = aiohttp.ClientSession(
            "http://bot", connector=aiohttp.UnixConnector(place, limit=0, force_close=True), headers={WHO: self._who}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._held.close()

    async def status(self) -> StatusView:
        """Return how the run is going."""
        return cast("StatusView", await self._ask("status"))

    async def snapshot(self) -> Snapshot:
        """Return everything that is shown of the run."""
        return cast("Snapshot", await self._ask("snapshot"))

    async def features(self) -> tuple[SwitchView, ...]:
        """Return every toggle."""
        return cast("tuple[SwitchView, ...]", await self._ask("features"))

    async def history(self, limit: int = 50) -> tuple[GenerationView, ...]:
        """Return the latest generations, newest first."""
        return cast("tuple[GenerationView, ...]", await self._ask("history", query={"limit": str(limit)}))

    async def openapi(self) -> dict[str, Any]:
        """Return the API's document."""
        return cast("dict[str, Any]", await self._ask("openapi"))

    async def reload(self, *, confirm: bool = False, shown: str = "") -> OutcomeView:
        """Let the profile be read again; with `confirm`, what waits for it is applied.

        `shown` is the beginning of the digest of the text that was seen: another one goes on waiting.
        """
        return cast("OutcomeView", await self._ask("reload", Reload(confirm, shown)))

    async def rollback(self, generation: int | None = None) -> OutcomeView:
        """Bring a generation back, None the one before that in force."""
        return cast("OutcomeView", await self._ask("rollback", Rollback(generation)))

    async def switch(self, feature: str, on: bool | None) -> OutcomeView:
        """Set a toggle over the profile; None clears what was set."""
        return cast("OutcomeView", await self._ask("switch", Switching(on), name=feature))

    async def pause(self) -> Done:
        """Let nothing be bought until resumed."""
        return cast("Done", await self._ask("pause", Plain()))

    async def resume(self) -> Done:
        """Let it buy again."""
        return cast("Done", await self._ask("resume", Plain()))

    async def drift(self) -> tuple[DriftView, ...]:
        """Return where the account differs from the ledger."""
        return cast("tuple[DriftView, ...]", await self._ask("drift"))

    async def compare_drift(self) -> ComparedView:
        """Let the account be compared with the ledger now; return what differs."""
        return cast("ComparedView", await self._ask("compare_drift", Plain()))

    async def settle_drift(self, what: str, action: DriftAction, price: Decimal | None = None) -> Done:
        """Let a difference of a symbol or asset be adopted, ignored or closed."""
        return cast("Done", await self._ask("settle_drift", DriftAnswer(what, action, price)))

    async def flatten(self) -> Done:
        """Let it pause, end every buy and sell every position."""
        return cast("Done", await self._ask("flatten", Plain()))

    async def rearm(self, symbol: str = "") -> Done:
        """Let stopped actions of a symbol be tried again, of every symbol where it is ""."""
        return cast("Done", await self._ask("rearm", Rearm(symbol=symbol)))

    async def stop(self) -> Done:
        """Let the run end cleanly."""
        return cast("Done", await self._ask("stop", Plain()))

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield every log record from here on as one JSON line; ends when the bot ends the stream.

        A line `{"lost": n}` says that n records are missing there. Raises Unanswered where the stream breaks: the bot
        is gone, or has let go of a listener that read too slowly.
        """
        path = BY_NAME["events"].path
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=ASK_S, sock_read=SILENCE_S)
        with self._mapped(SILENCE_S):
            async with self._open().get(path, timeout=timeout, read_bufsize=MOST_LINE_BYTES) as answer:
                if answer.status != 200:
                    raise _refused(answer.status, await answer.read())
                async for line in answer.content:
                    if line != HEARTBEAT:
                        yield line

    async def _ask(
        self, route_name: str, body: Request | None = None, *, name: str = "", query: dict[str, str] | None = None
    ) -> Any:
        route = BY_NAME[route_name]
        works = route.answer is OutcomeView
        if works:
            await self._ask("openapi")  # a bot that hangs is found out now, not after the long wait
        longest_s = WORK_S if works else ASK_S
        data = None if body is None else msgspec.json.encode(body)
        path = route.path.replace("{name}", quote(name, safe=""))
        with self._mapped(longest_s):
            async with self._open().request(
                route.method,
                path,
                data=data,
                params=query,
                headers={"Content-Type": "application/json"} if data is not None else None,
                timeout=aiohttp.ClientTimeout(total=longest_s, sock_connect=ASK_S),
            ) as answer:
                told = await answer.read()
                if answer.status != 200:
                    raise _refused(answer.status, told)
        try:
            return msgspec.json.decode(told, type=route.answer)
        except msgspec.DecodeError as error:
            raise Unanswered(
                f"the bot's answer to {path} is not understood ({error}); is it another version?"
            ) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("a Client is used inside `async with`")
        return self._session

    @contextmanager
    def _mapped(self, longest_s: float) -> Iterator[None]:
        """Turn what the connection raises into what the asker must do."""
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._nobody() from error
        except TimeoutError as error:
            raise Silent(f"{self.path}: the bot did not answer within {longest_s:g} s") from error
        except (aiohttp.ClientError, ConnectionError, ValueError) as error:
            raise Unanswered(f"{self.path}: the bot broke the connection off ({type(error).__name__})") from error

    def _nobody(self) -> NoBot:
        return NoBot(f"{self.path}: no bot answers there; `tradebot --profile P` starts one")


def ask(folder: Path, who: str, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return what `question` makes of a client, from a thread that runs no loop. Raises as the client does."""

    async def asking() -> T:
        async with Client(folder, who) as client:
            return await question(client)

    return asyncio.run(asking())


def _refused(status: int, told: bytes) -> Refused:
    try:
        problem = msgspec.json.decode(told, type=Problem)
    except msgspec.DecodeError:
        return Refused(status, f"the bot refused with HTTP status {status}")
    return Refused(status, problem.error, problem.where)
