"""How is the bot that is meant asked, and what if it does not answer? Asked by the commands that speak to one."""

from __future__ import annotations

import os
import pwd
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tradebot.cli.finding import Meant, hold_to_profile
from tradebot.domain.errors import TradebotError
from tradebot.storage.home import ENDING, doing, holder

if TYPE_CHECKING:
    from tradebot.control.client import Client

T = TypeVar("T")


class AnswersNobody(TradebotError):
    """A bot runs there, but not for who asks: the text says what reaches it all the same."""


def ask(meant: Meant, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return what the bot that is meant answers.

    Raises NoBot, AnswersNobody, Refused, Unanswered, and WhichBot where it runs another profile than the named one.
    """
    from tradebot.control import client

    async def asked(bot: Client) -> T:
        await hold_to(meant, bot)
        return await question(bot)

    with explained(meant.home):
        return client.ask(meant.home, who(), asked)


async def hold_to(meant: Meant, bot: Client) -> None:
    """Raise WhichBot where the bot was named by another profile than the one it runs."""
    if meant.profile:
        hold_to_profile(meant, (await bot.status()).profile.path, "runs")


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Tell a bot that answers nobody from one that is not there: raise AnswersNobody, with what reaches it."""
    from tradebot.control.client import NoBot, Silent

    try:
        yield
    except NoBot as error:
        pid = _look(holder, home)
        if pid is None:
            raise
        raise answers_nobody(home, pid) from error
    except Silent as error:
        pid = _look(holder, home)
        if not pid:
            raise
        raise AnswersNobody(f"{error}; what was asked may have happened or not\n{_signals(pid)}") from error


def answers_nobody(home: Path, pid: int) -> AnswersNobody:
    """Return what is told of a bot that runs but answers nobody; `pid` is its process, 0 where that is not known."""
    if not pid:
        return AnswersNobody(f"{home}: a bot is just starting there; ask again in a moment")
    if words := _look(doing, home):
        ends = "" if words.startswith(ENDING) else f"; `kill -TERM {pid}` stops it"
        return AnswersNobody(f"{home}: the bot there (process {pid}) is {words}\n  ask again later{ends}")
    return AnswersNobody(
        f"{home}: a bot runs there (process {pid}), but its control door answers nobody"
        " (off by `tradebot feature off control_door` or its profile, or the bot hangs)\n"
        f"{_signals(pid)}; then `tradebot feature clear control_door`, and start it again"
    )


def who() -> str:
    """Return the name under which the bot remembers who asked."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"


def _look(ask: Callable[[Path], T], home: Path) -> T:
    """Return what `ask` finds in a home. Raises TradebotError where it may not be looked into."""
    try:
        return ask(home)
    except OSError as error:
        raise TradebotError(f"{home}: cannot be looked into ({error.strerror})") from error


def _signals(pid: int) -> str:
    return f"  `kill -HUP {pid}` lets it read its profile, `kill -TERM {pid}` stops it"
