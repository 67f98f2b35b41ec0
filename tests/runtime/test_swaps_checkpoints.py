"""Do the periodic checkpoints and the keeping of old sessions follow an edit, and is a failing writer counted?"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.runtime.bench import Bench, run
from tests.runtime.profiles import profile
from tests.telemetry.logs import WAIT_S
from tradebot.runtime.checkpoints import Checkpoints, NoCheckpoints


def test_periodic_checkpoints_go_off_and_on_and_come_at_the_new_interval(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile(state__persist_interval_s=3600.0))
        shell, swap = bench.rig.shell, bench.parts.checkpoints
        swap.attach(shell)
        bench.checkpointer.start()
        task = asyncio.create_task(shell.run())
        off = profile(features__state_persistence=False)
        await bench.taken_back(off)
        assert isinstance(swap.chore, Checkpoints)
        often = profile(state__persist_interval_s=0.1, state__slice_ms=5.0)
        await bench.taken_back(often)
        assert bench.engine.pictures == 0
        await bench.applied(often)
        await shell.until(lambda: bench.checkpointer.written > 0)
        bench.old = often
        await bench.applied(off)
        assert isinstance(swap.chore, NoCheckpoints)
        pictures = bench.engine.pictures
        bench.old = off
        await bench.applied(often)
        await shell.until(lambda: bench.engine.pictures > pictures)
        shell.stop()
        await task
        assert bench.checkpointer.close(WAIT_S)

    run(main)
    assert (tmp_path / "checkpoint.json").exists()


def test_checkpoints_that_are_not_written_count_as_failures(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").mkdir()

    async def main() -> None:
        bench = Bench(tmp_path, profile(engine__max_component_failures=2))
        swap, writer = bench.parts.checkpoints, bench.checkpointer
        writer.start()
        for _ in range(3):
            swap._submit(b'{"seq":0}', ())
            writer.flush(WAIT_S)
        assert bench.tired == ["checkpointer"]
        (tmp_path / "checkpoint.json").rmdir()
        swap._submit(b'{"seq":0}', ())
        assert writer.flush(WAIT_S)
        swap._submit(b'{"seq":0}', ())
        assert bench.parts.failures.of("checkpointer").in_a_row == 0
        assert writer.close(WAIT_S)

    run(main)


# -- sessions -------------------------------------------------------------------------------------------


def test_old_sessions_go_when_fewer_are_to_be_kept_and_not_when_the_edit_is_taken_back(tmp_path: Path) -> None:
    names = [f"2026112{day}T000000Z-demo" for day in range(5)]
    for name in names:
        (tmp_path / "sessions" / name).mkdir(parents=True)
        (tmp_path / "sessions" / name / "session.json").write_text("{}")

    def left() -> list[str]:
        return sorted(path.name for path in (tmp_path / "sessions").iterdir())

    async def main() -> None:
        bench = Bench(tmp_path, profile())
        fewer = profile(sessions__keep=2)
        await bench.taken_back(fewer)
        await bench.parts.sessions.stop()
        assert left() == names
        await bench.applied(fewer)
        await bench.parts.sessions.stop()
        assert left() == names[3:]
        assert bench.told.kinds() == ["SESSIONS_PRUNED"]

    run(main)
