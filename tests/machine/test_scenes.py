"""Do the scenes that the machine found, or nearly did, end well?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.network import Request
from tests.machine.world import World
from tradebot.domain.events import VenueStateSeen
from tradebot.domain.orders import OrderState


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    _serve(made)
    try:
        yield made
    finally:
        made.close()


def _serve(world: World, *, without: Request | None = None) -> None:
    """Answer everything but one request, until nothing else is under way."""
    while requests := [each for each in world.network.under_way() if each is not without]:
        for request in requests:
            world.network.arrive(request, 0)
            world.network.reply(request)
        world.commit(99)
        world.turn()


def _dip(world: World, symbol: str) -> None:
    """Let the price of a symbol fall; what is bought then leaves."""
    for price in (100.0, 98.9):
        world.quote(symbol, price, 1_000.0, seen=True)
        world.turn()
    world.commit(99)
    world.turn()


def test_a_clock_that_is_set_forward_does_not_prove_an_order_absent(world: World) -> None:
    _dip(world, "AAA/USDT")
    (place,) = (each for each in world.network.under_way() if each.kind == "place")
    world.network.mislead(place, "reset")
    world.wait(2_001)
    _serve(world, without=place)
    world.jump(30_000)
    _dip(world, "BBB/USDT")  # its request is refused for its timestamp, and the clock measured anew
    _serve(world, without=place)
    bot = world.bot
    assert bot is not None
    for state in ("down", "up"):  # then every order in doubt is asked for at once
        bot.inject(VenueStateSeen(state, "", 0, bot.clock.now_ms()))
    bot.turn()
    _serve(world, without=place)
    assert bot.engine.state.orders[place.client_id].state is OrderState.UNKNOWN
    assert world.network.may_arrive(place)
    world.network.arrive(place, 0)
    world.check()
    world.settle()
    assert world.books.ends[place.client_id] == "filled"
