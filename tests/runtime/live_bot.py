"""How does a test edit the profile of a bot that runs? One in this process: real files, sqlite, threads, door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from tradebot.config.profile import Profile
from tradebot.control.client import Client
from tradebot.domain.errors import ExitCode
from tradebot.domain.generation import Generation
from tradebot.domain.views import OutcomeView, PendingView, ProfileView, SwitchView
from tradebot.runtime.bot import Bot
from tradebot.runtime.generations import choose
from tradebot.runtime.leftovers import held, left_since
from tradebot.runtime.operator import RunOperator
from tradebot.runtime.signals import Signals
from tradebot.runtime.swapping import Swappable
from tradebot.runtime.wiring import Makers, Options, Run, wire

P = ParamSpec("P")

PATIENCE_S = 20.0
"""Longest wait for anything: a hang fails the test instead of the suite."""

PROFILE = """
[bot]
state_dir = "{folder}/state"
[sessions]
dir = "{folder}/sessions"
[venue.paper]
entry_latency_ms = 1
response_latency_ms = 1
jitter_ms = 0
[feed.synthetic]
symbols = 3
updates_per_s = 20
volatility_bps = 12
[drop]
threshold_bps = 5
cooldown_s = 0
debounce_s = 0
[drop.anchor]
window_s = 2
window_buckets = 10
warmup_s = 0.2
[budget]
max_positions = 3
[exits]
take_profit_bps = 30
stop_loss_bps = 30
max_hold_s = 2
[reload]
settle_ms = 10
[metrics]
export_interval_s = 0.2
"""
"""A profile that trades within two seconds of its start."""


class LiveBot:
    """A bot that runs. `path` is its profile, `records` what it logged so far."""

    def __init__(self, run: Run, bot: Bot, path: Path) -> None:
        self.run = run
        self.bot = bot
        self.path = path
        self.live = bot.live
        self.reloads = bot.live.reloads
        self.operator = RunOperator(run, bot.live, list)
        self.records: list[dict[str, Any]] = []
        self.code: ExitCode | None = None
        self._fresh = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def hear(self, line: bytes) -> None:
        """Take a record, from the log's thread."""
        self._loop.call_soon_threadsafe(self._heard, json.loads(line))

    def _heard(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        self._fresh.set()

    # -- what a test does --------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Save another text as an editor does: whole."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, newline="")
        fresh.replace(self.path)

    @property
    def text(self) -> str:
        """The profile's text on the disk."""
        return self.path.read_bytes().decode()

    async def edit(self, *changes: tuple[str, str]) -> OutcomeView:
        """Replace words of the profile and let it be read."""
        text = self.text
        for old, new in changes:
            assert old in text, f"{old!r} does not stand in the profile"
            text = text.replace(old, new)
        self.write(text)
        return await self.reload()

    async def reload(self, *, confirm: bool = False) -> OutcomeView:
        return await self.operator.reload(confirm=confirm, who="ana")

    async def rollback(self, number: int | None = None) -> OutcomeView:
        return await self.operator.rollback(number, who="ana")

    async def switch(self, feature: str, on: bool | None) -> OutcomeView:
        return await self.operator.switch(feature, on, who="ana")

    def client(self) -> Client:
        return Client(self.run.opened.home.folder, "door")

    # -- what a test looks at ----------------------------------------------------------------------

    @property
    def profile(self) -> Profile:
        """The profile in force, as the reload has it."""
        return self.reloads.force.loaded.profile

    @property
    def number(self) -> int:
        """The generation in force."""
        return self.reloads.force.generation.number

    @property
    def begun(self) -> bool:
        """Whether the start is over: SIGHUP is heard from then on."""
        return getattr(self.run.signals, "_hangup") is not None  # noqa: B009 - private, and nobody else need ask

    @property
    def view(self) -> ProfileView:
        return self.live.view()

    def pending(self) -> PendingView | None:
        return self.view.pending

    def generation(self, number: int) -> Generation:
        found = self.run.opened.history.generation(number)
        assert found is not None
        return found

    def states(self) -> dict[int, str]:
        """Return the state of every generation by its number."""
        return {one.number: one.state for one in self.run.opened.history.generations(100)}

    def feature(self, name: str) -> SwitchView:
        return next(one for one in self.live.features() if one.feature == name)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of an event type so far."""
        return [one for one in self.records if one["event_type"] == kind]

    def one_generation(self) -> None:
        """Fail unless engine, run, history and views have the same generation in force, whole."""
        force = self.reloads.force
        assert self.run.engine.state.generation == force.generation.number
        assert self.run.engine.desk.profile == force.loaded.profile == self.run.loaded.profile
        in_force = self.run.opened.history.in_force()
        assert in_force is not None
        assert in_force.number == force.generation.number == self.view.generation

    async def record(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Return the `times`-th record of an event type, waiting for it."""
        await self.until(lambda: len(self.told(kind)) >= times)
        return self.told(kind)[times - 1]

    async def until(self, true: Callable[[], bool]) -> None:
        """Return once `true()` holds; looked at after every record and every cycle of the engine."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self._fresh.clear()
                looks = [asyncio.ensure_future(self._fresh.wait()), asyncio.ensure_future(self.cycle())]
                try:
                    await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for look in looks:
                        look.cancel()

    async def cycle(self) -> None:
        """Return after the engine's next cycle."""
        before = self.run.shell.cycles
        await self.run.shell.until(lambda: self.run.shell.cycles > before)

    async def trades_on(self) -> None:
        """Return once the engine has decided on more prices and bought something."""
        before = len(self.told("POSITION_OPENED"))
        await self.until(lambda: len(self.told("POSITION_OPENED")) > before)


def write_profile(folder: Path, extra: str = "", name: str = "bot.toml") -> Path:
    """Write the profile, with tables of `extra` laid over it; return its path."""
    base = folder / "ground.toml"
    base.write_text(PROFILE.format(folder=folder))
    path = folder / name
    path.write_text(f'extends = "ground.toml"\n{extra}')
    return path


@asynccontextmanager
async def running(
    path: Path, makers: Makers | None = None, *, parts: Sequence[Swappable] = (), accept: bool = False
) -> AsyncIterator[LiveBot]:
    """Run a bot on the profile at `path`; it is ended cleanly. `parts` take edits behind its own."""
    before = held()
    said: list[str] = []
    with Signals() as signals:
        run = wire(choose(str(path), accept=accept), Options(), signals, said.append, makers or Makers())
        with run.close:
            bot = Bot(run, before)
            live = LiveBot(run, bot, path)
            _applying(live)._bench.extend(parts)
            deaf = run.telling.pipeline.listen(live.hear)
            main = asyncio.create_task(bot.main())
            try:
                await live.record("BOT_STARTED")
                await live.until(lambda: live.begun or main.done())
                yield live
            finally:
                run.coordinator.request("the test is over")
                async with asyncio.timeout(PATIENCE_S):
                    live.code = (await main).code
                deaf()
        left = left_since(before, bot.threads_started, set(), run.telling.session.folder, PATIENCE_S)
        assert left.clean, str(left)


def _applying(live: LiveBot) -> Any:
    return live.reloads._applying


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test's coroutine in a loop of its own, for `PATIENCE_S` three times over at most."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(3 * PATIENCE_S):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run
