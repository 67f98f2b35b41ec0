"""A run ends in order, whatever its parts do: stages, deadlines, clean-up callbacks, the second signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

from tests.runtime.telling import Told
from tradebot.config.sections.shutdown import Shutdown
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.domain.inventory import Inventory
from tradebot.runtime.cleanup import Callback, Work
from tradebot.runtime.component import NullPart, TaskPart
from tradebot.runtime.coordinator import Coordinator, Ending
from tradebot.runtime.signals import Signals, StopAsked

QUICK = Shutdown(
    entries_deadline_s=0.2,
    orders_deadline_s=0.2,
    verify_deadline_s=0.2,
    write_deadline_s=0.6,
    close_deadline_s=0.4,
    callback_timeout_s=0.1,
)


class Trades:
    """Something that trades: its orders end when the test says so."""

    wanted: Literal["cancel", "leave"] = "cancel"

    def __init__(self, orders: Sequence[str] = (), hang: bool = False) -> None:
        self.orders = list(orders)
        self.hang = hang
        self.did: list[str] = []

    async def close_gate(self, reason: str) -> None:
        self.did.append(f"gate {reason}")

    async def settle_orders(self) -> None:
        self.did.append("settle")
        if self.hang:
            await asyncio.Event().wait()
        self.orders.clear()

    def open_orders(self) -> Sequence[str]:
        return self.orders

    async def inventory(self, limit_s: float) -> Inventory:
        self.did.append("inventory")
        return Inventory(self.wanted, verified=True, unknown=tuple(self.orders))

    def known_inventory(self, cause: str) -> Inventory:
        return Inventory(self.wanted, verified=False, cause=cause, unknown=tuple(self.orders))


class Rig:
    """A coordinator with everything around it noted."""

    def __init__(self, signals: Signals) -> None:
        self.log = Told()
        self.said: list[str] = []
        self.coordinator = Coordinator(signals, self.log, self.said.append)


def end_of(
    trades: Trades,
    callbacks: Sequence[Callback] = (),
    ask: Callable[[Rig], None] = lambda rig: None,
    *,
    by_signal: bool = False,
    **limits: Any,
) -> tuple[Rig, Ending]:
    async def main() -> tuple[Rig, Ending]:
        with Signals() as signals:
            rig = Rig(signals)
            rig.coordinator.attach()
            rig.coordinator.register_callbacks(callbacks)
            ask(rig)
            if not rig.coordinator.asked and not by_signal:
                rig.coordinator.request("test")
            await rig.coordinator.wait()
            ending = await rig.coordinator.end(trades, QUICK.model_copy(update=limits))
            rig.coordinator.detach()
            return rig, ending

    return asyncio.run(main())


def test_a_clean_end_runs_every_stage_and_exits_with_zero() -> None:
    trades = Trades(["o1"])
    rig, ending = end_of(trades)
    assert trades.did == ["gate test", "settle", "inventory"]
    assert ending.code is ExitCode.CLEAN
    assert ending.orders_at_start == 1
    assert ending.orders_left == ()
    assert rig.log.texts("SHUTDOWN_STAGE") == ["stage entries: done", "stage orders: done"]


def test_orders_left_against_the_policy_are_named_and_change_the_exit_code() -> None:
    rig, ending = end_of(Trades(["o1", "o2"], hang=True))
    assert ending.code is ExitCode.ORDERS_LEFT
    assert ending.orders_left == ("o1", "o2")
    assert ending.stragglers == ["orders: o1", "orders: o2"]
    assert any("left: o1, o2" in text for text in rig.log.texts("SHUTDOWN_STAGE"))


def test_orders_left_as_the_policy_says_are_no_fault() -> None:
    class Leaves(Trades):
        wanted = "leave"

        async def settle_orders(self) -> None:
            self.did.append("settle")

    _, ending = end_of(Leaves(["o1"]), open_orders="leave")
    assert ending.code is ExitCode.CLEAN
    assert ending.orders_left == ("o1",)


def test_callbacks_run_in_reverse_order_and_each_outcome_is_logged() -> None:
    ran: list[str] = []

    def work(name: str) -> Callable[[], str]:
        def run() -> str:
            ran.append(name)
            return f"{name} was here"

        return run

    callbacks = [
        Callback("logging_queue", "close", work("logging_queue"), vital=True, said=True),
        Callback("dust_sweeper", "close"),
        Callback("metrics_export", "write", work("metrics_export")),
        Callback("state_persist", "write", work("state_persist"), vital=True),
    ]
    rig, ending = end_of(Trades(), callbacks)
    assert ran == ["state_persist", "metrics_export", "logging_queue"]
    assert rig.log.texts("CLEANUP_CALLBACK") == [
        "cleanup_callback state_persist: done · state_persist was here",
        "cleanup_callback metrics_export: done · metrics_export was here",
        "cleanup_callback dust_sweeper: off",
        "cleanup_callback logging_queue: done · last of all",
    ]
    assert [done.outcome for done in ending.callbacks] == ["done", "done", "off", "done"]


def fails() -> str:
    raise OSError("no space")


@pytest.mark.parametrize("kind", ["coroutine", "thread", "stubborn", "error"])
def test_a_callback_that_hangs_or_fails_never_stops_the_next(kind: str) -> None:
    release = threading.Event()
    ran: list[str] = []

    async def hangs() -> str:
        await asyncio.Event().wait()
        return "never"

    async def ignores_its_cancel() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()
        return "never"

    def blocks() -> str:
        release.wait()
        return "too late"

    def last() -> str:
        ran.append("last")
        return ""

    works: dict[str, Work] = {"coroutine": hangs, "thread": blocks, "stubborn": ignores_its_cancel, "error": fails}
    try:
        rig, ending = end_of(Trades(), [Callback("last", "write", last), Callback("bad", "write", works[kind])])
    finally:
        release.set()
    assert ran == ["last"]
    assert [done.outcome for done in ending.callbacks] == ["failed" if kind == "error" else "timed out", "done"]
    assert rig.log.texts("CLEANUP_CALLBACK")[0].startswith("cleanup_callback bad: ")
    assert len(ending.stragglers) == 1


def test_one_signal_is_told_once_and_ends_cleanly() -> None:
    rig, ending = end_of(Trades(), ask=lambda rig: os.kill(os.getpid(), signal.SIGTERM), by_signal=True)
    assert rig.log.texts("SHUTDOWN_SIGNAL") == ["Shutdown signal received: SIGTERM"]
    assert ending.code is ExitCode.CLEAN
    assert ending.reason == "SIGTERM"


def test_a_second_signal_jumps_to_the_final_write_and_says_so() -> None:
    ran: list[str] = []

    def vital() -> str:
        ran.append("state_persist")
        return ""

    def dispensable() -> str:
        ran.append("telegram_shutdown")
        return ""

    callbacks = [
        Callback("telegram_shutdown", "write", dispensable),
        Callback("dashboard", "close"),
        Callback("state_persist", "write", vital, vital=True),
    ]

    class Interrupted(Trades):
        async def settle_orders(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    rig, ending = end_of(
        Interrupted(["o1"]),
        callbacks,
        lambda rig: os.kill(os.getpid(), signal.SIGTERM),
        by_signal=True,
        orders_deadline_s=50.0,
    )
    assert ending.code is ExitCode.ORDERS_LEFT, "what is left counts more than that it was forced"
    assert ending.took_s < 40
    assert ran == ["state_persist"]
    assert [done.outcome for done in ending.callbacks] == ["done", "skipped", "off"]
    assert rig.said == ["second signal (SIGINT): forcing the exit, state is written first"]
    assert len(rig.log.texts("SHUTDOWN_SIGNAL")) == 1
    assert len(rig.log.texts("SHUTDOWN_FORCED")) == 1


def test_a_crash_ends_through_the_same_stages_with_code_one() -> None:
    trades = Trades()
    rig, ending = end_of(trades, ask=lambda rig: rig.coordinator.crash("engine", ValueError("broken")))
    assert trades.did == ["gate crash", "settle", "inventory"]
    assert ending.code is ExitCode.CRASHED
    assert ending.error == "engine: ValueError: broken"
    assert rig.said == ["crashed: engine: ValueError: broken"]


@pytest.mark.parametrize("code", [ExitCode.BAD_PROFILE, ExitCode.RECOVERY_REFUSED, ExitCode.CRASHED])
def test_a_refused_start_ends_through_the_same_stages_with_its_own_code(code: ExitCode) -> None:
    trades = Trades()
    refused = CannotStart("the key can withdraw", code)
    rig, ending = end_of(trades, ask=lambda rig: rig.coordinator.refuse_start(refused))
    assert trades.did == ["gate start refused", "settle", "inventory"]
    assert (ending.code, ending.reason, ending.error) == (code, "start refused", "")
    assert rig.said == ["not started: the key can withdraw"]


def test_a_start_refused_before_anything_was_sent_asks_the_venue_nothing_and_leaves_the_reason_for_the_end() -> None:
    trades = Trades()
    refused = CannotStart("the key can withdraw", ExitCode.BAD_PROFILE)
    rig, ending = end_of(trades, ask=lambda rig: rig.coordinator.refuse_start(refused, unsent=True))
    assert trades.did == ["gate start refused"]
    assert (ending.code, ending.reason, ending.refusal) == (
        ExitCode.BAD_PROFILE,
        "start refused",
        "the key can withdraw",
    )
    assert ending.inventory is None
    assert rig.said == []
    assert rig.log.texts("SHUTDOWN_REQUESTED") == []
    assert rig.log.texts("FINAL_INVENTORY") == []


def test_a_failing_part_is_reported_and_one_that_does_not_stop_is_named() -> None:
    class Stuck(NullPart):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    failures: list[tuple[str, str]] = []

    async def breaks() -> None:
        raise RuntimeError("broken feed")

    async def main() -> Ending:
        with Signals() as signals:
            rig = Rig(signals)
            part = TaskPart("market_data", breaks, lambda name, error: failures.append((name, str(error))))
            await part.start()
            rig.coordinator.register(Stuck("stuck"))
            rig.coordinator.register(part)
            rig.coordinator.request("test")
            return await rig.coordinator.end(Trades(), QUICK)

    ending = asyncio.run(main())
    assert failures == [("market_data", "broken feed")]
    assert ending.stragglers == ["close: stuck timed out"]


def test_handlers_are_installed_once_and_put_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Signals() as signals:
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signals._on_signal
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopAsked, match="SIGTERM during start"):
            signals.check()
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_hangup_asks_for_a_reload_and_ends_nothing() -> None:
    heard: list[str] = []
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        signals.check()
        assert signals.received == []
        signals.on_hangup(lambda: heard.append("first"))
        assert heard == ["first"], "what came before anybody listened is remembered, once"
        os.kill(os.getpid(), signal.SIGHUP)
        signals.on_hangup(lambda: heard.append("second"))
        assert heard == ["first", "first"]
        signals.on_hangup(None)
        os.kill(os.getpid(), signal.SIGHUP)
        signals.on_hangup(lambda: heard.append("third"))
        assert heard == ["first", "first", "third"]
        assert signals.received == []


def test_a_hangup_during_the_run_leaves_it_running() -> None:
    def ask(rig: Rig) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        rig.coordinator.note_signals()
        assert not rig.coordinator.asked
        os.kill(os.getpid(), signal.SIGTERM)

    rig, ending = end_of(Trades(), ask=ask, by_signal=True)
    assert ending.reason == "SIGTERM"
    assert ending.code is ExitCode.CLEAN
    assert rig.log.texts("SHUTDOWN_FORCED") == []
