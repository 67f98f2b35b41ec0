"""What can happen next? One table of steps, asked by hypothesis and by the seeded driver alike.

Every step is possible in every state: one that has nothing to happen to is nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from tests.machine.disk import Killed
from tests.machine.far import PAIRS, WIRE
from tests.machine.network import DONE_UNSAID, NOT_DONE, NOT_KNOWN
from tests.machine.world import PRICES, SIZES, World
from tradebot.domain.events import FlattenAsked, PauseAsked, ResumeAsked

Step = tuple[str, int, int]
"""A name of `STEPS` and two numbers from 0 to MOST that say which and how."""

MOST: Final = 59
SPANS: Final = (1, 20, 300, 1_000, 2_001, 5_000, 11_000, 31_000, 61_000)
JUMPS: Final = (5, 40, 100, 300, 600, 900, 5, 40, 100, 300, 600, 2_500, 30_000)
AMOUNTS: Final = tuple(Decimal(text) for text in ("0.05", "0.3", "1", "0.001"))


def _quote(world: World, which: int, how: int) -> None:
    world.quote(PAIRS[which % 3], PRICES[how % len(PRICES)], SIZES[which // 3 % 3], seen=which % 7 > 0)


def _dip(world: World, which: int, how: int) -> None:
    """Let a price fall so that a buy begins, or rise so that a position is sold."""
    symbol = PAIRS[which % 3]
    world.quote(symbol, 100.0, SIZES[0], seen=True)
    world.turn()
    world.quote(symbol, (98.9, 98.0, 102.5)[how % 3], SIZES[how % len(SIZES)], seen=True)
    if which % 5:
        world.turn()
        world.commit(2**31)


def _turn(world: World, _which: int, _how: int) -> None:
    world.turn()


def _arrive(world: World, which: int, how: int) -> None:
    if (request := world.picked(world.network.under_way(), which)) is not None:
        world.network.arrive(request, world.lag(how))


def _reply(world: World, which: int, _how: int) -> None:
    if (request := world.picked(world.network.unanswered(), which)) is not None:
        world.network.reply(request)


def _serve(world: World, which: int, how: int) -> None:
    """Let a few requests arrive and be answered, one after the other, and the bot with them."""
    for _ in range(1 + how % 4):
        if (request := world.picked(world.network.under_way(), which)) is not None:
            world.network.arrive(request, 0)
        if (request := world.picked(world.network.unanswered(), which)) is not None:
            world.network.reply(request)
        world.turn()


def _lose(world: World, which: int, how: int) -> None:
    if (request := world.picked(world.network.under_way(), which)) is not None:
        world.network.lose(request, NOT_DONE[how % len(NOT_DONE)])


def _spoil(world: World, which: int, how: int) -> None:
    if (request := world.picked(world.network.unanswered(), which)) is not None:
        world.network.spoil(request, DONE_UNSAID[how % len(DONE_UNSAID)])


def _mislead(world: World, which: int, how: int) -> None:
    if (request := world.picked(world.network.under_way(), which)) is not None:
        world.network.mislead(request, NOT_KNOWN[how % len(NOT_KNOWN)])


def _repeat(world: World, which: int, _how: int) -> None:
    if (request := world.picked(world.network.unanswered(), which)) is not None:
        world.network.repeat(request)


def _hear(world: World, which: int, how: int) -> None:
    for _ in range(1 + how % 5):
        world.hear(which if how % 2 else 0)


def _drop(world: World, which: int, _how: int) -> None:
    world.hear(which, tell=False)


def _twice(world: World, which: int, _how: int) -> None:
    world.hear(which, keep=True)


def _stream(world: World, which: int, _how: int) -> None:
    world.stream(up=which % 3 > 0)


def _commit(world: World, which: int, how: int) -> None:
    world.commit(1 + which % 5 if how % 3 else 2**31)
    if which % 4:
        world.turn()


def _wait(world: World, which: int, how: int) -> None:
    world.wait(SPANS[(which * how) % len(SPANS)])


def _tick(world: World, which: int, _how: int) -> None:
    world.wait(SPANS[which % 4])


def _crash(world: World, which: int, how: int) -> None:
    world.crash(which % 4)
    if how % 3:
        world.start()


def _fuse(world: World, which: int, how: int) -> None:
    """Let the process end in the midst of what it does next."""
    if how % 4 == 0:
        world.fuse.set(1 + which % 30)


def _start(world: World, which: int, _how: int) -> None:
    """Begin a run; mostly the connection is whole again by then."""
    world.network.down = world.network.down and which % 4 == 0
    world.start()


def _ask(world: World, which: int, _how: int) -> None:
    world.tell((PauseAsked, FlattenAsked, ResumeAsked, ResumeAsked, ResumeAsked, ResumeAsked)[which % 6])


def _rearm(world: World, _which: int, _how: int) -> None:
    world.rearm()


def _settle_drift(world: World, which: int, how: int) -> None:
    asset = ("AAA", "BBB", "CCC", "USDT")[which % 4]
    world.answer_drift(asset, ("adopt", "ignore", "close")[how % 3], Decimal(100) if which % 2 else None)


def _look(world: World, _which: int, _how: int) -> None:
    world.ask_balances()


def _edit(world: World, which: int, _how: int) -> None:
    world.edit(which)


def _shut(world: World, which: int, how: int) -> None:
    if how % 6 == 0:
        world.shut(("cancel", "leave", "wait")[which % 3])


def _picture(world: World, _which: int, _how: int) -> None:
    if world.bot is not None:
        world.disk.picture(world.bot.engine)


def _jump(world: World, which: int, _how: int) -> None:
    world.jump(JUMPS[which % len(JUMPS)])


def _manual(world: World, which: int, how: int) -> None:
    world.manual(which, PAIRS[how % 2], AMOUNTS[how % len(AMOUNTS)])


def _halt(world: World, which: int, how: int) -> None:
    world.far.exchange.set_status(WIRE[PAIRS[which % 3]], "HALT" if how % 4 == 0 else "TRADING")


def _cut(world: World, which: int, _how: int) -> None:
    world.network.down = which % 3 == 0


STEPS: Final[dict[str, tuple[int, Callable[[World, int, int], None]]]] = {
    "quote": (8, _quote),
    "dip": (10, _dip),
    "turn": (6, _turn),
    "arrive": (12, _arrive),
    "reply": (10, _reply),
    "serve": (22, _serve),
    "lose": (5, _lose),
    "mislead": (3, _mislead),
    "spoil": (5, _spoil),
    "repeat": (2, _repeat),
    "hear": (10, _hear),
    "drop": (2, _drop),
    "twice": (2, _twice),
    "stream": (3, _stream),
    "commit": (16, _commit),
    "wait": (6, _wait),
    "tick": (8, _tick),
    "crash": (2, _crash),
    "fuse": (3, _fuse),
    "start": (4, _start),
    "ask": (2, _ask),
    "rearm": (1, _rearm),
    "settle drift": (4, _settle_drift),
    "look": (4, _look),
    "edit": (1, _edit),
    "shut": (1, _shut),
    "picture": (2, _picture),
    "jump": (1, _jump),
    "manual": (4, _manual),
    "halt": (1, _halt),
    "cut": (1, _cut),
}
"""By name: how often it is drawn, and what it does."""

_KIND: Final = ("quote", "dip", "turn", "arrive", "reply", "serve", "hear", "commit", "wait", "tick", "start")
"""Those without which nothing goes on."""


def take(world: World, step: Step) -> None:
    """Let one step happen, and check what holds after it. Raises Broken."""
    name, which, how = step
    try:
        STEPS[name][1](world, which, how)
    except Killed:
        world.crash(how % 3)
        if which % 4:
            world.start()
    world.check()


def drawn(chance: random.Random, count: int) -> list[Step]:
    """Return so many steps. Of all that may go wrong a part is left out each time, so that the rest goes further."""
    names = [name for name in STEPS if name in _KIND or chance.random() < 0.6]
    picked = chance.choices(names, [STEPS[name][0] for name in names], k=count)
    return [(name, chance.randrange(MOST + 1), chance.randrange(MOST + 1)) for name in picked]
