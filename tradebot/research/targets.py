"""Did a session reach the targets of a paper session? Asked by the report, which prints each with its number."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tradebot.domain.figures import Summary

Verdict = Literal["met", "not met", "not applicable"]

FILL_RATE_ABOVE = 0.30
PENDING_BELOW = 10
BALANCE_FAILURES_BELOW = 0.05
THREADS_CLEANED_PCT = 100.0


class Target(Struct, frozen=True):
    """One target: what is wanted, what was found, and whether that is enough."""

    name: str
    wanted: str
    found: str
    verdict: Verdict


class Evidence(Struct, kw_only=True):
    """What a session's folder tells beside its facts; None where the session leaves no such trace (a replay).

    `failure_records` counts WARNING and ERROR records of orders in the logs.
    """

    failure_records: int | None = None
    stack_dumps: int | None = None
    threads_cleaned_pct: float | None = None


def judge(summary: Summary, evidence: Evidence) -> tuple[Target, ...]:
    """Return every target with its number."""
    return (
        _fill_rate(summary),
        _pending(summary),
        _failures(summary, evidence),
        _stack_dumps(evidence),
        _balance_failures(summary),
        _threads(evidence),
    )


def percent(share: float) -> str:
    """Return a share of 1 as a percentage with one decimal: 0.714 gives "71.4 %"."""
    return f"{share * 100:.1f} %"


def _verdict(met: bool) -> Verdict:
    return "met" if met else "not met"


def _fill_rate(summary: Summary) -> Target:
    rate, counts = summary.counts.fill_rate, summary.counts
    wanted = f"> {FILL_RATE_ABOVE * 100:.0f} %"
    if rate is None:
        return Target("fill rate", wanted, "no intent was sent", "not applicable")
    found = f"{percent(rate)} ({counts.intents_filled} of {counts.intents_sent} intents)"
    return Target("fill rate", wanted, found, _verdict(rate > FILL_RATE_ABOVE))


def _pending(summary: Summary) -> Target:
    most = summary.counts.pending_max
    return Target("pending intents", f"< {PENDING_BELOW}", f"{most} at most", _verdict(most < PENDING_BELOW))


def _failures(summary: Summary, evidence: Evidence) -> Target:
    counts = summary.counts
    failures = counts.orders_rejected + counts.orders_timed_out + counts.orders_unknown + counts.orders_never_sent
    name, wanted = "failures visible", "a record each"
    if evidence.failure_records is None:
        return Target(name, wanted, f"{failures} failures, no logs kept", "not applicable")
    found = f"{failures} failures, {evidence.failure_records} records"
    return Target(name, wanted, found, _verdict(evidence.failure_records >= failures))


def _stack_dumps(evidence: Evidence) -> Target:
    if evidence.stack_dumps is None:
        return Target("stack dumps", "none", "none are written here", "not applicable")
    return Target("stack dumps", "none", str(evidence.stack_dumps), _verdict(evidence.stack_dumps == 0))


def _balance_failures(summary: Summary) -> Target:
    rate, counts = summary.counts.balance_failure_rate, summary.counts
    wanted = f"< {BALANCE_FAILURES_BELOW * 100:.0f} %"
    if rate is None:
        return Target("budget timeouts", wanted, "no balance was asked for", "not applicable")
    asked = counts.balance_refreshes + counts.balance_failures
    found = f"{percent(rate)} ({counts.balance_failures} of {asked} requests)"
    return Target("budget timeouts", wanted, found, _verdict(rate < BALANCE_FAILURES_BELOW))


def _threads(evidence: Evidence) -> Target:
    cleaned, wanted = evidence.threads_cleaned_pct, f"{THREADS_CLEANED_PCT:.0f} %"
    if cleaned is None:
        return Target("thread cleanup", wanted, "not told", "not applicable")
    return Target("thread cleanup", wanted, f"{cleaned:.1f} %", _verdict(cleaned >= THREADS_CLEANED_PCT))
