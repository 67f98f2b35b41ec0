"""Is damage that a start does not need told by the run that lives with it?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.runtime.live_bot import in_loop, running, write_profile


@in_loop
async def test_damage_behind_the_checkpoint_is_told_as_a_warning_and_by_the_status_while_the_bot_trades_on(
    tmp_path: Path,
) -> None:
    profile = write_profile(tmp_path)
    async with running(profile) as live:
        await live.record("JOURNAL_CHECKED")
        assert live.operator.status().journal_damaged == ""
        journal = live.run.opened.journal.path
    with closing(sqlite3.connect(journal)) as database:
        database.execute("UPDATE facts SET crc = crc + 1 WHERE seq = 2")
        database.commit()
    async with running(profile) as live:
        await live.until(lambda: live.operator.status().journal_damaged != "")
        assert live.operator.status().journal_damaged.startswith("fact 2 cannot be read")
        told = await live.record("JOURNAL_DAMAGED")
        assert (told["level"], told["seq"], told["path"]) == ("WARNING", 2, str(journal))
        await live.until(lambda: live.run.engine.state.trading)
