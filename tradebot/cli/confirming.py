"""What does `tradebot reload --confirm` apply? What the person has seen, and nothing else; asked by `reload`.

What is confirmed is named by its digest: should another text wait by then, that one goes on waiting.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from tradebot.cli.asking import ask
from tradebot.cli.consent import somebody_there, yes
from tradebot.cli.finding import Meant
from tradebot.cli.outcome import tell
from tradebot.cli.pending import ID_LENGTH, pending_id, pending_lines
from tradebot.cli.words import show
from tradebot.domain.views import OutcomeView, PendingView

if TYPE_CHECKING:
    from tradebot.control.client import Client


class Judged(Struct, frozen=True):
    """What became of the text on the disk, judged at `at_ms`: nothing of it waits for a confirmation."""

    outcome: OutcomeView
    at_ms: int


def confirm(meant: Meant, given: str) -> int:
    """Show what waits, and confirm exactly that; return 0 where it is in force then.

    `given` is its ID as typed: then nobody is asked. "" asks the person at the terminal; without one, what is shown is
    confirmed. Raises as the client does.
    """
    found = ask(meant, _find)
    if isinstance(found, PendingView):
        return _apply(meant, found, given)
    if given:
        show(f"tradebot: nothing waits that has the ID {given[:ID_LENGTH]}", file=sys.stderr)
    if given or found.outcome.outcome != "refused":
        if found.outcome.outcome == "unchanged":
            show("nothing waits for a confirmation")
        code = tell(found.outcome)
        return 1 if given else code
    return _accept(meant, found.outcome, found.at_ms)


async def _find(bot: Client) -> PendingView | Judged:
    """Return what waits; where nothing does, the text on the disk is judged, and may wait then."""
    waiting = (await bot.status()).profile.pending
    if waiting is not None:
        return waiting
    outcome = await bot.reload()
    profile = (await bot.status()).profile
    return profile.pending or Judged(outcome, profile.last_reload_ms)


def _apply(meant: Meant, pending: PendingView, given: str) -> int:
    show(*pending_lines(pending))
    if given and not pending.digest.startswith(given):
        typed = given[:ID_LENGTH]
        show(f"tradebot: not applied: what waits has the ID {pending_id(pending)}, not {typed}", file=sys.stderr)
        return 1
    if not given and somebody_there() and not yes("Apply this?"):
        return 1
    outcome = ask(meant, lambda bot: bot.reload(confirm=True, shown=pending.digest))
    code = tell(outcome)
    if outcome.outcome == "pending":
        show("tradebot: not applied: another edit waits by now, or on other grounds; look at it first", file=sys.stderr)
        return 1
    return code


def _accept(meant: Meant, refused: OutcomeView, at_ms: int) -> int:
    """Accept an edit that needs a restart for the next start."""
    show(*refused.lines)
    if somebody_there() and not yes("Let the next start run this?"):
        return 1
    outcome = ask(meant, partial(_accepted, at_ms=at_ms))
    if outcome is None:
        show("tradebot: not accepted: another edit came meanwhile; look at `tradebot status`", file=sys.stderr)
        return 1
    if (outcome.outcome, outcome.changes) != (refused.outcome, refused.changes):
        return tell(outcome)
    show(outcome.lines[-1].strip())
    return 1


async def _accepted(bot: Client, at_ms: int) -> OutcomeView | None:
    """Return what became of a confirmation, None where something else was told of since `at_ms`."""
    profile = (await bot.status()).profile
    if profile.pending is not None or profile.last_reload_ms != at_ms:
        return None
    return await bot.reload(confirm=True)
