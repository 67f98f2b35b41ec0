"""A request's latency hangs on its number and the seed alone."""

from __future__ import annotations

from tradebot.venues.latency import Latency, scatter


def test_every_latency_between_the_bounds_is_drawn() -> None:
    latency = Latency(40, 20, 3, seed=7)
    assert {latency.entry_ms(number) for number in range(200)} == {40, 41, 42, 43}
    assert {latency.response_ms(number) for number in range(200)} == {20, 21, 22, 23}


def test_the_sequence_is_the_same_on_every_machine() -> None:
    assert [scatter(1, number) % 1000 for number in range(5)] == [98, 316, 844, 593, 885]


def test_entry_and_response_are_drawn_apart_and_seeds_differ() -> None:
    one, two = Latency(0, 0, 999, seed=1), Latency(0, 0, 999, seed=2)
    assert [one.entry_ms(number) for number in range(9)] != [one.response_ms(number) for number in range(9)]
    assert [one.entry_ms(number) for number in range(9)] != [two.entry_ms(number) for number in range(9)]


def test_without_jitter_nothing_is_drawn() -> None:
    assert (Latency(40, 20, 0, 1).entry_ms(5), Latency(40, 20, 0, 1).response_ms(5)) == (40, 20)
