"""Is everything in place before the first order? Asked by `tradebot doctor`; it only looks, and changes nothing.

Every check has a time limit of its own: one that hangs or breaks is a failure with its name, and the others go on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import Struct, field

from tradebot.config.secrets import mask
from tradebot.domain.errors import TradebotError

if TYPE_CHECKING:
    from pathlib import Path

    from tradebot.config.loader import Loaded
    from tradebot.config.profile import Profile
    from tradebot.domain.market import Instrument
    from tradebot.exchange.credentials import Credentials
    from tradebot.ports import Clock
    from tradebot.runtime.doctor_exchange import Visit

T = TypeVar("T")

Verdict = Literal["ok", "warn", "fail", "skip"]


class NotLearned(TradebotError):
    """A check stands on what an earlier one did not find out."""


class Said(Struct, frozen=True):
    """What a check found: its verdict, in words, what to do about it ("" for nothing), and its numbers."""

    verdict: Verdict
    text: str
    todo: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class Finding(Struct, frozen=True):
    """What was found, by which check of which group."""

    group: str
    check: str
    verdict: Verdict
    text: str
    todo: str
    figures: dict[str, Any]


class Case(Struct):
    """What is examined, and what earlier checks learned for later ones.

    `quotes` are (bid, ask) by symbol; `taker_fees` shares of the amount by symbol.
    """

    loaded: Loaded
    environ: Mapping[str, str]
    clock: Clock
    home: Path
    offline: bool = False
    listen_s: float = 5.0
    credentials: Credentials | None = None
    visit: Visit | None = None
    instruments: Sequence[Instrument] = ()
    quotes: dict[str, tuple[float, float]] = field(default_factory=dict)
    taker_fees: dict[str, Any] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """Return the profile that is examined."""
        return self.loaded.profile

    @property
    def trades(self) -> bool:
        """Whether orders go to an exchange."""
        return self.profile.venue.kind == "ccxt"

    @property
    def real(self) -> bool:
        """Whether orders go to an exchange that is no rehearsal on this machine."""
        return self.trades and not self.profile.exchange.base_url

    def visited(self) -> Visit:
        """Return the connection to the exchange. Raises NotLearned."""
        if self.visit is None:
            raise NotLearned("the exchange could not be asked")
        return self.visit

    def signed(self) -> Credentials:
        """Return the keys. Raises NotLearned."""
        if self.credentials is None:
            raise NotLearned("there is no key")
        return self.credentials

    def hide(self, text: str) -> str:
        """Return `text` without a key in it."""
        return mask(text) if self.credentials is None else self.credentials.hide(mask(text))


class Check(Struct, frozen=True):
    """One check, of `limit_s` at most. `skips` says why it does not apply to a case, "" where it does."""

    group: str
    name: str
    run: Callable[[Case], Awaitable[Iterable[Said]]]
    limit_s: float = 10.0
    skips: Callable[[Case], str] = lambda _case: ""


def looking(look: Callable[[Case], Iterable[Said]]) -> Callable[[Case], Awaitable[Iterable[Said]]]:
    """Return a check that runs `look` in a thread, since a disk may hang."""

    async def run(case: Case) -> Iterable[Said]:
        return await in_thread(lambda: list(look(case)))

    return run


async def in_thread(call: Callable[[], T]) -> T:
    """Return what `call` returns, run in a thread that nobody waits for at the end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(set_it: Callable[[Any], None], value: object) -> None:
        if not answer.done():
            set_it(value)

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - handed over whole to whoever awaits it
            post(tell, answer.set_exception, error)
        else:
            post(tell, answer.set_result, result)

    def post(*arguments: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(*arguments)

    threading.Thread(target=work, name="tradebot-doctor", daemon=True).start()
    return await answer


async def examine(
    case: Case, checks: Iterable[Check], told: Callable[[str], None] = lambda _name: None
) -> list[Finding]:
    """Run the checks one after the other; return what they found. Never raises; `told` hears of each that begins."""
    found: list[Finding] = []
    try:
        for check in checks:
            told(check.name)
            said = await _said(check, case)
            found.extend(_finding(check, case, one) for one in said)
    finally:
        if case.visit is not None:
            await case.visit.close()
    return found


def _finding(check: Check, case: Case, said: Said) -> Finding:
    return Finding(check.group, check.name, said.verdict, case.hide(said.text), case.hide(said.todo), said.figures)


async def _said(check: Check, case: Case) -> Iterable[Said]:
    if why := check.skips(case):
        return [Said("skip", why)]
    task = asyncio.ensure_future(check.run(case))
    done, _ = await asyncio.wait({task}, timeout=check.limit_s)
    if not done:
        task.cancel()
        return [Said("fail", f"did not end within {check.limit_s:g} s", "look at what it waits for, and try again")]
    if task.cancelled():
        return [Said("fail", "was cut off by what it asked")]
    try:
        return task.result()
    except TradebotError as error:
        return [Said("fail", str(error))]
    except Exception as error:  # noqa: BLE001 - the supervision border of a check: told under its name
        words = mask(str(error)).partition("\n")[0][:200]
        return [Said("fail", f"broke: {type(error).__name__}: {words}")]
