"""How long is a request on its way, and its answer? Asked by the paper venue for every request."""

from __future__ import annotations

from typing import Final

_MASK: Final = 2**64 - 1
_STEP: Final = 0x9E3779B97F4A7C15


def scatter(seed: int, number: int) -> int:
    """Return 64 well-mixed bits of `seed` and `number`, the same on every machine (splitmix64's finaliser)."""
    bits = (seed * _STEP + (number + 1) * 0xD1B54A32D192ED03) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


class Latency:
    """Draws both latencies of a request from its number alone, so that a restart continues the sequence."""

    __slots__ = ("_entry_ms", "_response_ms", "_seed", "_span")

    def __init__(self, entry_ms: int, response_ms: int, jitter_ms: int, seed: int) -> None:
        self._entry_ms = entry_ms
        self._response_ms = response_ms
        self._span = jitter_ms + 1
        self._seed = seed

    def entry_ms(self, request: int) -> int:
        """Return the time from sending request number `request` to its arrival at the venue."""
        if self._span == 1:
            return self._entry_ms
        return self._entry_ms + scatter(self._seed, 2 * request) % self._span

    def response_ms(self, request: int) -> int:
        """Return the time from an effect of request number `request` to the answer's arrival."""
        if self._span == 1:
            return self._response_ms
        return self._response_ms + scatter(self._seed, 2 * request + 1) % self._span
