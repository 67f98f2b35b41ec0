"""The bot with one faulty part, as a program: `faulty.py KIND --profile …`. Run by the tests of this folder."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from tradebot.cli import run as command
from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import CancelOrder, Command, PlaceOrder
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import Event, QuoteSeen
from tradebot.domain.facts import Fact
from tradebot.domain.market import Instrument
from tradebot.engine.engine import Engine
from tradebot.ports import Clock, Due, Feed
from tradebot.runtime.account import Account
from tradebot.runtime.places import make_feed, make_venue
from tradebot.runtime.signals import Signals
from tradebot.runtime.wiring import Makers
from tradebot.venues.paper import PaperVenue

FAULT_EVERY = 3

SIGNALS_AT_START = {"signal-at-start": [signal.SIGTERM], "two-signals-at-start": [signal.SIGTERM, signal.SIGINT]}


class BrokenEngine(Engine):
    """Fails inside an event once it holds a position."""

    def process(self, event: Event, now_ms: int) -> tuple[list[Fact], list[Command]]:
        if isinstance(event, QuoteSeen) and self.state.ledger.positions:
            raise ZeroDivisionError("a decision that cannot be made")
        return super().process(event, now_ms)


class ShakyVenue(PaperVenue):
    """Fails on every third market event it looks at."""

    looks = 0

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        self.looks += 1
        if self.looks % FAULT_EVERY == 0:
            raise OSError("the venue hangs up")
        return super().on_market(event, now_ms)


class DeadVenue(PaperVenue):
    """Fails whenever it looks at the market."""

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        raise OSError("the venue is gone")


class StubbornVenue(PaperVenue):
    """Never lets an order fill, and never hears a cancel."""

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        return []

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        if isinstance(command, CancelOrder):
            return []
        if isinstance(command, PlaceOrder):
            print(f"MARK placed {command.client_id}", flush=True)
        return super().submit(command, now_ms)


class OddFeed:
    """A real feed that something happens to."""

    synthetic = True

    def __init__(self, real: Feed, kind: str) -> None:
        self._real = real
        self._kind = kind
        self._asked = False
        self._runs = 0

    def instruments(self) -> Sequence[Instrument]:
        signals = [] if self._asked else SIGNALS_AT_START.get(self._kind, [])
        self._asked = True
        for number in signals:
            os.kill(os.getpid(), number)
        if self._kind == "no-start":
            raise CannotStart("the feed is not there")
        return self._real.instruments()

    async def run(self, publish: Callable[[Event], None]) -> None:
        self._runs += 1
        if self._kind == "feed-breaks" and self._runs <= FAULT_EVERY:
            raise ConnectionError("the feed hangs up")
        if self._kind == "silent-feed" and self._runs == 1:
            await asyncio.Event().wait()
        await self._real.run(publish)


def makers(kind: str) -> Makers:
    venues = {"shaky-venue": ShakyVenue, "dead-venue": DeadVenue, "stubborn-venue": StubbornVenue}

    def venue(profile: Profile, instruments: Mapping[str, Instrument], image: AccountImage | None) -> Account:
        made = venues.get(kind)
        if made is None:
            return make_venue(profile, instruments, image)
        return made(profile.venue.paper, instruments, profile.market.quote, profile.bot.seed, image)

    def feed(profile: Profile, clock: Clock) -> Feed:
        return OddFeed(make_feed(profile, clock), kind)

    return Makers(engine=BrokenEngine if kind == "broken-engine" else Engine, feed=feed, venue=venue)


def main() -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with Signals() as signals:
        try:
            return command.run_with(parser.parse_args(sys.argv[2:]), signals, makers(sys.argv[1]))
        except CannotStart as error:
            print(f"tradebot: {error}", file=sys.stderr)
            return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
