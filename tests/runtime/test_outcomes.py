"""Do the lines of an outcome say all that an operator needs, the first one whole in itself?"""

from __future__ import annotations

from typing import Any

from tradebot.config.diff import Change
from tradebot.config.faults import Fault
from tradebot.config.merge import Origin
from tradebot.runtime.outcomes import Applied, Fatal, Pending, Refused, Rejected, RolledBack, Unchanged

P = "profiles/prod.toml"


def change(key: str, old: Any, new: Any, reload: Any = "live", *, looser: bool = False) -> Change:
    path = tuple(key.split("."))
    return Change(key, path, old, new, Origin(P, 3, 1), reload, looser)


STOP = change("exits.stop_loss_bps", 400, 350)
DROP = change("drop.threshold_bps", 250, 300)
METRICS = change("features.metrics", False, True, "rebuild")


def test_an_applied_edit_names_its_changes_when_they_take_effect_and_what_follows() -> None:
    outcome = Applied(
        generation=13,
        path=P,
        who="edit",
        previous=12,
        cause="edit",
        changes=(DROP, STOP, METRICS),
        effects={DROP.key: "from the next decision", METRICS.key: "started, 0.20 s"},
        plan=("SOL/USDT would exit now at 141.20 (−3.6 %), stop_loss",),
        took_ms=14.2,
        notes=("on probation for 10 min: errors ≤ 5 a minute · `tradebot rollback` undoes it",),
    )
    assert outcome.lines() == [
        "generation 12 → 13 · profiles/prod.toml · 2 live, 1 rebuild · applied in 14 ms",
        "  drop.threshold_bps   250 → 300   from the next decision",
        "  exits.stop_loss_bps  400 → 350",
        "  features.metrics     false → true   started, 0.20 s",
        "  SOL/USDT would exit now at 141.20 (−3.6 %), stop_loss",
        "  on probation for 10 min: errors ≤ 5 a minute · `tradebot rollback` undoes it",
    ]
    view = outcome.view()
    assert (view.previous, view.generation, view.keys) == (12, 13, (DROP.key, STOP.key, METRICS.key))
    assert view.changes[2].effect == "started, 0.20 s"


def test_who_asked_is_named_where_it_was_no_edit() -> None:
    outcome = Applied(
        generation=4, path=P, who="ana", previous=3, cause="rollback", changes=(), effects={}, plan=(),
        took_ms=1.0,
    )  # fmt: skip
    assert outcome.lines() == ["generation 3 → 4 · profiles/prod.toml · text only · applied in 1 ms · rollback by ana"]


def test_a_refused_edit_names_the_keys_and_how_to_accept_it() -> None:
    keys = ("venue.exchange", "market.quote")
    outcome = Refused(generation=13, path=P, who="edit", keys=keys, changes=())
    assert outcome.lines() == [
        "refused · profiles/prod.toml · needs a restart: venue.exchange, market.quote · still on generation 13",
        "  a start runs the generation in force until this is accepted: `tradebot reload --confirm`",
    ]
    accepted = Refused(generation=13, path=P, who="edit", keys=keys, changes=(), accepted=True)
    assert accepted.lines()[-1] == "  accepted: the next start runs it"


def test_an_edit_that_waits_says_why_and_how_to_confirm_it() -> None:
    more = change("budget.max_positions", 10, 40, looser=True)
    outcome = Pending(
        generation=13, path=P, who="edit", reason="loosens: budget.max_positions 10 → 40", waits=(more.key,),
        changes=(more,), plan=(), digest="d",
    )  # fmt: skip
    assert outcome.lines() == [
        "waiting · profiles/prod.toml · loosens: budget.max_positions 10 → 40 · `tradebot reload --confirm` "
        "· still on generation 13",
        "  budget.max_positions  10 → 40",
    ]


def test_a_rejected_edit_lists_its_faults_or_the_reason() -> None:
    fault = Fault(P, 4, 17, "exits.stop_loss_bps", "is not above 0")
    outcome = Rejected(generation=13, path=P, who="edit", faults=(fault,))
    assert outcome.lines() == [
        "rejected · profiles/prod.toml · 1 fault · still on generation 13",
        f"  {fault}",
    ]
    assert outcome.view().faults[0].line == 4
    other = Rejected(generation=13, path=P, who="edit", reason="cannot be built: metrics: no space")
    assert other.lines() == [
        "rejected · profiles/prod.toml · cannot be built: metrics: no space · still on generation 13"
    ]


def test_a_rollback_by_a_guard_says_what_it_is_like_now_and_one_of_a_swap_that_nothing_changed() -> None:
    guard = RolledBack(
        generation=15, path=P, who="guard", condemned=14, restored=13, reason="errors a minute 9 (≤ 5)",
        changes=(change("exits.stop_loss_bps", 350, 400),),
    )  # fmt: skip
    assert guard.lines() == [
        "rolled back · generation 14 → 15 · profiles/prod.toml · errors a minute 9 (≤ 5)",
        "  exits.stop_loss_bps  350 → 400",
        "  as in generation 13; no file was written: what the files say waits for `tradebot reload --confirm`",
    ]
    swap = RolledBack(generation=13, path=P, who="edit", condemned=14, reason="the swap failed: part: no")
    assert swap.lines() == ["rolled back · profiles/prod.toml · the swap failed: part: no · still on generation 13"]


def test_a_fatal_outcome_says_what_a_start_runs() -> None:
    fatal = Fatal(generation=13, path=P, who="edit", reason="it could not be taken back")
    assert fatal.lines()[0].endswith("the run ends; a start runs generation 13")
    other = Fatal(generation=14, path=P, who="guard", reason="errors", next_start=12)
    assert other.lines()[0].endswith("the run ends; a start runs generation 12")
    none = Fatal(generation=14, path=P, who="guard", reason="errors", next_start=0)
    assert none.lines()[0].endswith("the run ends; a start wants another text, or `--accept`")


def test_nothing_to_do_is_said_with_what_is_in_force() -> None:
    assert Unchanged(generation=3, path=P, who="ana").lines() == ["unchanged · profiles/prod.toml · generation 3"]
    noted = Unchanged(generation=3, path=P, who="ana", note="metrics is on")
    assert noted.lines() == ["unchanged · profiles/prod.toml · generation 3 · metrics is on"]
