"""Do the settings make sense together? Asked by the loader, once each setting is sound by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os.path import abspath
from pathlib import PurePath

from tradebot.config.breach import Breach
from tradebot.config.faults import shown
from tradebot.config.profile import Profile
from tradebot.config.rules_trading import TRADING


def breaches(profile: Profile) -> list[Breach]:
    """Return every rule that `profile` breaks."""
    return [breach for rule in (*TRADING, *_RUNNING) for breach in rule(profile)]


def _budget_refresh(profile: Profile) -> Iterator[Breach]:
    budget = profile.budget
    if budget.refresh_timeout_s > budget.refresh_interval_s:
        yield Breach.of(
            "budget.refresh_timeout_s",
            f"{budget.refresh_timeout_s:g} s is longer than refresh_interval_s ({budget.refresh_interval_s:g} s): "
            "the next question would come before this one is given up",
            "budget.refresh_interval_s",
        )


def _queries(profile: Profile) -> Iterator[Breach]:
    execution = profile.execution
    if execution.query_max_interval_ms < execution.query_interval_ms:
        yield Breach.of(
            "execution.query_max_interval_ms",
            f"{execution.query_max_interval_ms} ms is below query_interval_ms ({execution.query_interval_ms} ms), "
            "where it begins",
            "execution.query_interval_ms",
        )


def _heartbeat(profile: Profile) -> Iterator[Breach]:
    engine = profile.engine
    if engine.heartbeat_timeout_s <= engine.heartbeat_interval_s:
        yield Breach.of(
            "engine.heartbeat_timeout_s",
            f"{engine.heartbeat_timeout_s:g} s is not longer than heartbeat_interval_s "
            f"({engine.heartbeat_interval_s:g} s): every component would be reported as silent",
            "engine.heartbeat_interval_s",
        )


def _shutdown_deadlines(profile: Profile) -> Iterator[Breach]:
    shutdown = profile.shutdown
    stages = ("entries_deadline_s", "orders_deadline_s", "verify_deadline_s", "write_deadline_s", "close_deadline_s")
    total = shutdown.stages_s
    if total >= shutdown.supervisor_deadline_s:
        yield Breach.of(
            "shutdown.supervisor_deadline_s",
            f"{shutdown.supervisor_deadline_s:g} s is not above the sum of the stages ({total:g} s): "
            "the bot would be killed before its state is written",
            *(f"shutdown.{stage}" for stage in stages),
        )
    for stage in ("write_deadline_s", "close_deadline_s"):
        if shutdown.callback_timeout_s > getattr(shutdown, stage):
            yield Breach.of(
                "shutdown.callback_timeout_s",
                f"{shutdown.callback_timeout_s:g} s is longer than the stage it runs in: "
                f"{stage} is {getattr(shutdown, stage):g} s",
                f"shutdown.{stage}",
            )


def _shutdown_orders(profile: Profile) -> Iterator[Breach]:
    shutdown, execution = profile.shutdown, profile.execution
    if shutdown.open_orders == "cancel" and execution.cancel_wait_ms / 1000 >= shutdown.orders_deadline_s:
        yield Breach.of(
            "shutdown.orders_deadline_s",
            f"{shutdown.orders_deadline_s:g} s is not longer than execution.cancel_wait_ms "
            f"({execution.cancel_wait_ms} ms): a cancel could not be verified before the bot ends",
            "execution.cancel_wait_ms",
            "shutdown.open_orders",
        )
    longest = max(execution.wait_ms.of(step) for step in (*execution.steps, *profile.exits.steps)) / 1000
    if shutdown.open_orders == "wait" and longest >= shutdown.orders_deadline_s:
        yield Breach.of(
            "shutdown.orders_deadline_s",
            f"{shutdown.orders_deadline_s:g} s is not longer than the longest wait for a fill ({longest:g} s), "
            'which open_orders = "wait" waits for',
            "shutdown.open_orders",
            "execution.wait_ms",
        )


def _after_waiting(profile: Profile) -> Iterator[Breach]:
    shutdown, wait_s = profile.shutdown, profile.execution.cancel_wait_ms / 1000
    if shutdown.open_orders == "wait" and shutdown.after_wait == "cancel" and wait_s > shutdown.verify_deadline_s:
        yield Breach.of(
            "shutdown.verify_deadline_s",
            f"{shutdown.verify_deadline_s:g} s is shorter than execution.cancel_wait_ms "
            f"({profile.execution.cancel_wait_ms} ms): what was awaited in vain could not be cancelled and verified",
            "execution.cancel_wait_ms",
            "shutdown.after_wait",
        )


def _dead_man(profile: Profile) -> Iterator[Breach]:
    exchange, shutdown = profile.exchange, profile.shutdown
    if not exchange.dead_man_s or exchange.dead_man_takes_all:
        return
    leaves = shutdown.open_orders == "leave" or (shutdown.open_orders == "wait" and shutdown.after_wait == "leave")
    for there, key, what in (
        (exchange.shared_account, "exchange.shared_account", "those of the others on this account, too"),
        (leaves, "shutdown.open_orders", "those that the shutdown is to leave, too"),
    ):
        if there:
            yield Breach.of(
                "exchange.dead_man_s",
                f"the dead man switch cancels all orders of the account, {what}: set 0, "
                "or exchange.dead_man_takes_all = true where that is meant",
                key,
                "exchange.dead_man_takes_all",
            )


def _disk(profile: Profile) -> Iterator[Breach]:
    logging, sessions = profile.logging, profile.sessions
    if logging.max_disk_mb < logging.max_file_mb:
        yield Breach.of(
            "logging.max_disk_mb",
            f"{logging.max_disk_mb} MB is less than one log file (max_file_mb is {logging.max_file_mb})",
            "logging.max_file_mb",
        )
    if sessions.max_disk_mb < logging.max_disk_mb:
        yield Breach.of(
            "sessions.max_disk_mb",
            f"{sessions.max_disk_mb} MB for all sessions is less than one session's logs may take "
            f"(logging.max_disk_mb is {logging.max_disk_mb})",
            "logging.max_disk_mb",
        )


def _readings(profile: Profile) -> Iterator[Breach]:
    reload = profile.reload
    if reload.settle_ms >= reload.sweep_s * 1000:
        yield Breach.of(
            "reload.settle_ms",
            f"{reload.settle_ms} ms is not shorter than sweep_s ({reload.sweep_s:g} s): a doubtful text would be read "
            "again before it is believed",
            "reload.sweep_s",
        )


def _guards(profile: Profile) -> Iterator[Breach]:
    reload, guards = profile.reload, profile.reload.guards
    limits = [name for name in type(guards).model_fields if name.startswith("max_")]
    watching = profile.features.probation and reload.probation_s > 0
    if watching and all(getattr(guards, name) is None for name in limits):
        yield Breach.of(
            "reload.probation_s",
            f"every guard is off: {reload.probation_s:g} s would be watched and nothing ever taken back; "
            "to watch nothing on purpose set features.probation = false",
            *(f"reload.guards.{name}" for name in limits),
            "features.probation",
        )


def _confirmations(profile: Profile) -> Iterator[Breach]:
    if profile.reload.mode == "confirm" and not profile.features.control_door:
        yield Breach.of(
            "reload.mode",
            '"confirm" needs features.control_door: every edit would wait, and nobody could confirm it',
            "features.control_door",
        )


def _folders(profile: Profile) -> Iterator[Breach]:
    state, sessions = profile.bot.state_dir, profile.sessions.dir
    for key, folder in (("bot.state_dir", state), ("sessions.dir", sessions)):
        if not folder.isprintable():
            yield Breach.of(key, f"{shown(folder)} is no folder's name: it has characters that cannot be seen")
    if PurePath(abspath(state)).is_relative_to(abspath(sessions)):
        yield Breach.of(
            "bot.state_dir",
            f"{shown(state)} is the sessions' folder or inside it ({shown(sessions)}), which is emptied of old runs: "
            "the journal would be removed with them",
            "sessions.dir",
        )


def _orders_at_real_prices(profile: Profile) -> Iterator[Breach]:
    if profile.venue.kind == "ccxt" and profile.feed.kind != "ccxt":
        yield Breach.of(
            "venue.kind",
            f'"ccxt" needs feed.kind = "ccxt": orders would go to {profile.exchange.name} at prices of another market',
            "feed.kind",
        )


_RUNNING: tuple[Callable[[Profile], Iterator[Breach]], ...] = (
    _budget_refresh,
    _queries,
    _heartbeat,
    _shutdown_deadlines,
    _shutdown_orders,
    _after_waiting,
    _dead_man,
    _disk,
    _readings,
    _guards,
    _confirmations,
    _orders_at_real_prices,
    _folders,
)
