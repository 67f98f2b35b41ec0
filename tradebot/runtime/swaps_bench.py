"""Which parts of a run take an edit, and who is told which numbers? Asked by the bot, for the reload.

A part that only takes numbers is one line here; one that is built anew has a file of its own (`swaps_*`).
"""

from __future__ import annotations

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.ports import Log
from tradebot.runtime.chores import HealthCheck, JournalGuard
from tradebot.runtime.cycle_log import NO_CYCLE_TIMES, CycleLog, CycleTimes
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.live import LiveShell
from tradebot.runtime.swapping import Swappable, Tuned
from tradebot.runtime.swaps_checkpoints import CheckpointSwap
from tradebot.runtime.swaps_feed import FeedSwap
from tradebot.runtime.swaps_logs import LogsSwap
from tradebot.runtime.swaps_metrics import MetricsPart
from tradebot.runtime.swaps_sessions import SessionKeeping
from tradebot.runtime.watchdog import Watchdog
from tradebot.telemetry.logs import LogPipeline

LOOP = ("engine.loop_sleep_s", "engine.error_backoff_s", "engine.max_consecutive_errors", "engine.slow_cycle_s")
BEATS = ("engine.heartbeat_interval_s",)


class Parts(Struct, frozen=True):
    """The parts of a run, outside the engine, that read settings."""

    shell: LiveShell
    pipeline: LogPipeline
    log: Log
    metrics: MetricsPart
    feed: FeedSwap
    checkpoints: CheckpointSwap
    sessions: SessionKeeping
    watchdog: Watchdog
    health: HealthCheck
    guard: JournalGuard
    failures: ComponentFailures


def cycle_log(profile: Profile, log: Log) -> CycleLog:
    """Return what tells every cycle's time, or its null part."""
    return CycleTimes(log) if profile.features.cycle_time_logging else NO_CYCLE_TIMES


def swappables(parts: Parts) -> list[Swappable]:
    """Return every part that an edit may concern, in the order in which they are staged and swapped.

    The feed comes first: it takes longest to prove, and is the likeliest to be refused.
    """
    return [
        parts.feed,
        LogsSwap(parts.pipeline),
        parts.metrics,
        parts.checkpoints,
        parts.sessions,
        *_tuned(parts),
    ]


def _tuned(parts: Parts) -> list[Swappable]:
    shell, watchdog, log = parts.shell, parts.watchdog, parts.log

    def tell_watchdog(profile: Profile) -> None:
        watchdog.retune(profile.engine.heartbeat_interval_s, profile.engine.heartbeat_timeout_s)

    def tell_failures(profile: Profile) -> None:
        parts.failures.retune(profile.engine.max_component_failures)

    return [
        Tuned("loop", LOOP, lambda profile: shell.retune(profile.engine)),
        Tuned("cycle_log", ("features.cycle_time_logging",), lambda profile: shell.log_cycles(cycle_log(profile, log))),
        Tuned("watchdog", (*BEATS, "engine.heartbeat_timeout_s"), tell_watchdog),
        Tuned("journal_guard", BEATS, lambda profile: parts.guard.retune(profile.engine.heartbeat_interval_s)),
        Tuned(
            "health_check",
            ("market.stale_after_s", "market.health_check_interval_s"),
            lambda profile: parts.health.retune(profile.market),
        ),
        Tuned("failures", ("engine.max_component_failures",), tell_failures),
        Tuned(
            "feed_backoff",
            ("engine.error_backoff_s",),
            lambda profile: parts.feed.retune(profile.engine.error_backoff_s),
        ),
        Tuned("log_level", ("logging.level",), lambda profile: parts.pipeline.set_level(profile.logging.level)),
    ]
