"""Is it visible which generation is in force and what became of every edit? In views, records, gauges and facts."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile

TWO = """
[exits]
stop_loss_bps = 30
[bot]
instance = "here"
[budget]
max_positions = 2
[features]
watcher = false
"""
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")


def gauges(bot: LiveBot) -> dict[str, Any]:
    """Write the metrics now and return the config gauges as monitoring reads them."""
    bot.run.telling.metrics_part.export()
    document = json.loads((bot.run.telling.session.metrics / "summary.json").read_text())
    found = {name: value for name, value in document["gauges"].items() if name.startswith("config_")}
    found.pop("config_last_reload_success_timestamp_s")
    return found


@in_loop
async def test_the_view_tells_each_state_of_the_profile(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        view = bot.view
        assert (view.path, view.generation, view.cause, view.who) == (str(bot.path), 1, "start", "start")
        assert (view.pinned, view.note, view.overrides, view.last_reload, view.probation) == (False, "", (), None, None)
        applied = await bot.edit(TIGHTER)
        view = bot.view
        assert (view.generation, view.cause, view.who, view.last_reload) == (2, "edit", "ana", applied)
        assert view.since_ms >= view.last_reload_ms - 1000
        assert view.probation is not None
        assert view.probation.falls_back_to == 1
        assert view.probation.guards[0] == "errors a minute 0 (≤ 5)"
        waiting = await bot.edit(("max_positions = 2", "max_positions = 9"))
        view = bot.view
        assert view.pending is not None
        assert view.pending.reason == "loosens: budget.max_positions 2 → 9"
        assert [change.looser for change in view.pending.changes] == [True]
        assert (view.generation, view.pinned, view.last_reload) == (2, False, waiting)
        await bot.switch("metrics", False)
        assert [(one.feature, one.on, one.profile, one.override) for one in bot.view.overrides] == [
            ("metrics", False, True, "ana")
        ]
        status = bot.operator.status()
        assert status.profile == bot.view


@in_loop
async def test_monitoring_sees_the_generation_what_waits_and_whether_the_last_reload_succeeded(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        fine = {"config_generation": 1, "config_pending": 0, "config_overrides": 0, "config_last_reload_successful": 1}
        assert gauges(bot) == fine
        await bot.edit(("stop_loss_bps = 30", "stop_loss_bps = wrong"))
        assert gauges(bot) == fine | {"config_last_reload_successful": 0}
        await bot.edit(("stop_loss_bps = wrong", "stop_loss_bps = 30"))
        assert gauges(bot) == fine, "the text in force is on the disk again"
        await bot.edit(("max_positions = 2", "max_positions = 9"))
        assert gauges(bot) == fine | {"config_pending": 1}
        await bot.reload(confirm=True)
        assert gauges(bot) == fine | {"config_generation": 2}
        await bot.switch("stale_warnings", False)
        assert gauges(bot) == fine | {"config_generation": 3, "config_overrides": 1}
        await bot.edit(('instance = "here"', 'instance = "there"'))
        assert gauges(bot)["config_last_reload_successful"] == 0
        bot.run.telling.metrics_part.export()
        document = json.loads((bot.run.telling.session.metrics / "summary.json").read_text())
        since_s = document["gauges"]["config_last_reload_success_timestamp_s"]
        assert abs(since_s - bot.run.clock.now_ms() / 1000) < 60
        told = {"applied": 2, "pending": 1, "rejected": 1, "refused": 1}
        for outcome, count in told.items():
            assert document["counters"][f'config_reloads{{outcome="{outcome}"}}'] == count


@in_loop
async def test_every_outcome_is_a_record_with_its_fields(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.edit(("max_positions = 2", "max_positions = 9"))
        await bot.edit(("max_positions = 9", "max_positions = nine"))
        await bot.edit(("max_positions = nine", "max_positions = 2"), ('instance = "here"', 'instance = "there"'))
        for kind, level, outcome, keys in (
            ("PROFILE_RELOADED", "INFO", "applied", ["exits.stop_loss_bps"]),
            ("PROFILE_PENDING", "WARNING", "pending", ["budget.max_positions"]),
            ("PROFILE_REJECTED", "WARNING", "rejected", None),
            ("PROFILE_REFUSED", "WARNING", "refused", ["bot.instance"]),
        ):
            record = await bot.record(kind)
            assert (record["level"], record["outcome"], record["in_force"]) == (level, outcome, 2)
            assert record["who"] in {"ana", "edit"}
            assert record["lines"][0] in record["message"]
            if keys is not None:
                assert record["keys"] == keys
        started = await bot.record("PROFILE_PROBATION_STARTED")
        assert started["number"] == 2


@in_loop
async def test_every_record_says_the_generation_in_force_and_orders_keep_the_one_that_placed_them(
    tmp_path: Path,
) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.trades_on()
        await bot.edit(TIGHTER)
        taken = await bot.record("PROFILE_APPLIED", 2)
        assert taken["generation"] == 2
        await bot.until(lambda: any(one["generation"] == 2 for one in bot.told("ORDER_PLANNED")))
        placed: dict[str, int] = {}
        after = False
        for record in bot.records:
            after = after or record is taken
            if record["event_type"] == "ORDER_PLANNED":
                placed[record["client_id"]] = record["generation"]
                assert record["generation"] == (2 if after else 1)
            elif record["event_type"] in {"ORDER_FILLED", "ORDER_DONE", "ORDER_ACCEPTED"}:
                assert record["generation"] == placed[record["client_id"]]
            elif after and not record["event_type"].startswith(("ORDER_", "INTENT_", "POSITION_", "CANCEL_")):
                assert record["generation"] == 2, record
        assert set(placed.values()) == {1, 2}


@in_loop
async def test_a_hangup_is_an_edit_that_was_asked_for(tmp_path: Path) -> None:
    path = write_profile(tmp_path, TWO)
    async with running(path) as bot:
        bot.write(bot.text.replace(*TIGHTER))
        os.kill(os.getpid(), signal.SIGHUP)
        record = await bot.record("PROFILE_RELOADED")
        assert record["who"] == "SIGHUP"
        assert bot.view.who == "SIGHUP"
        bot.one_generation()


@in_loop
async def test_the_history_names_cause_who_and_overrides_of_each_generation(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("metrics", False)
        await bot.rollback(1)
        found = await bot.operator.history(10)
        assert [(one.number, one.cause, one.who, one.in_force) for one in found] == [
            (4, "rollback", "ana", True),
            (3, "feature", "ana", False),
            (2, "edit", "ana", False),
            (1, "start", "start", False),
        ]
        assert found[0].overrides == ("metrics off",)
        assert found[2].changes == ("exits.stop_loss_bps  30 → 25",)
        assert [one.previous for one in found] == [3, 2, 1, 0]
