"""Do the steps of an order lead anywhere, and in time? The rules on ladders and waits. Asked by `rules_trading`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tradebot.config.breach import Breach
from tradebot.config.faults import Path
from tradebot.config.profile import Profile
from tradebot.config.sections.execution import Step
from tradebot.domain.numbers import plain

_TAKING = frozenset({"IOC", "FOK"})


def _order_of_steps(profile: Profile) -> Iterator[Breach]:
    yield from _ladder(("execution", "steps"), profile.execution.steps)
    yield from _ladder(("exits", "steps"), profile.exits.steps)


def _ladder(path: Path, steps: tuple[Step, ...]) -> Iterator[Breach]:
    reached: Step | None = None  # the taking step with the largest offset so far
    for index, step in enumerate(steps):
        here = (*path, index)
        yield from _step(here, step)
        if step.type == "market":
            if index < len(steps) - 1:
                yield Breach.of(here, "a market order takes what there is: it can only be the last step", path)
            continue
        if step.tif == "PO" and reached is not None:
            yield Breach.of(
                (*here, "tif"), f"a post-only step comes before the steps that take ({reached.tif}), not after", here
            )
        if step.tif not in _TAKING:
            continue
        if reached is not None and step.offset_bps < reached.offset_bps:
            yield Breach.of(
                (*here, "offset_bps"),
                f"{plain(step.offset_bps)} is below an earlier step's ({plain(reached.offset_bps)}): "
                "a step that takes must not bid less than the one before it",
                here,
            )
        if reached is None or step.offset_bps > reached.offset_bps:
            reached = step


def _step(here: Path, step: Step) -> Iterator[Breach]:
    if step.type == "market":
        if step.offset_bps:
            yield Breach.of((*here, "offset_bps"), "a market order has no limit price: leave offset_bps out", here)
        if step.tif != "IOC":
            yield Breach.of((*here, "tif"), "a market order has no time in force: leave tif out", here)
    elif step.tif == "PO" and step.offset_bps >= 0:
        yield Breach.of(
            (*here, "offset_bps"),
            f"{plain(step.offset_bps)} would take at once, and post-only refuses that: it needs an offset below 0",
            (*here, "tif"),
            here,
        )


def _slippage(profile: Profile) -> Iterator[Breach]:
    execution = profile.execution
    for index, step in enumerate(execution.steps):
        if step.type == "limit" and step.offset_bps > execution.max_slippage_bps:
            here = ("execution", "steps", index)
            yield Breach.of(
                (*here, "offset_bps"),
                f"{plain(step.offset_bps)} is above max_slippage_bps ({plain(execution.max_slippage_bps)}): "
                "the step would always be skipped",
                here,
                "execution.max_slippage_bps",
            )


def _wait_key(step: Step) -> str:
    """Return the key under which the wait of `step` is set."""
    return f"execution.wait_ms.{step.tif if step.type == 'limit' and step.tif in ('IOC', 'GTC') else 'other'}"


def _waits(profile: Profile) -> Iterator[Breach]:
    execution, intents = profile.execution, profile.intents
    total = sum(execution.wait_ms.of(step) for step in execution.steps) / 1000
    if total >= intents.max_age_s:
        yield Breach.of(
            "intents.max_age_s",
            f"{intents.max_age_s:g} s is not longer than the waits of all steps together ({total:g} s): "
            "a buy would be stale before its last step is over",
            "execution.wait_ms",
            "execution.steps",
            *dict.fromkeys(_wait_key(step) for step in execution.steps),
        )
    if intents.check_interval_s > intents.max_age_s:
        yield Breach.of(
            "intents.check_interval_s",
            f"{intents.check_interval_s:g} s is longer than max_age_s ({intents.max_age_s:g} s): "
            "a stale buy would be found too late",
            "intents.max_age_s",
        )


def _short_waits(profile: Profile) -> Iterator[Breach]:
    """Yield the waits that are over before an answer can be there."""
    execution, paper = profile.execution, profile.venue.paper
    answer_ms = paper.entry_latency_ms + paper.response_latency_ms + 2 * paper.jitter_ms
    waits = {_wait_key(step): execution.wait_ms.of(step) for step in (*execution.steps, *profile.exits.steps)}
    for key, wait in waits.items():
        if execution.send_deadline_ms > wait:
            yield Breach.of(
                "execution.send_deadline_ms",
                f"{execution.send_deadline_ms} ms is longer than {key.removeprefix('execution.')} ({wait} ms): "
                "an order could leave later than its fill is awaited",
                key,
            )
        if profile.venue.kind == "paper" and 0 < answer_ms >= wait:
            yield Breach.of(
                key,
                f"{wait} ms is over before the paper venue answers (up to {answer_ms} ms: latencies and jitter)",
                "venue.paper.entry_latency_ms",
                "venue.paper.response_latency_ms",
                "venue.paper.jitter_ms",
            )


LADDER: tuple[Callable[[Profile], Iterator[Breach]], ...] = (_order_of_steps, _slippage, _waits, _short_waits)
