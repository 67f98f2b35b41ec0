"""Does the page of event types tell every record that operators look for?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.event_types import page, records

ROOT = Path(__file__).resolve().parents[2]

STABLE = {
    "events": {"BOT_STARTED", "SHUTDOWN_SIGNAL", "STATE_RESTORED", "RECOVERY_COMPLETED", "PROFILE_RELOADED"},
    "system": {
        *("SIGNAL_HANDLERS_SETUP", "CLEANUP_CALLBACKS_REGISTERED", "CLEANUP_CALLBACK", "LOGGING_QUEUE_ENABLED"),
        *("LOGGING_QUEUE_VALIDATED", "LOGGING_QUEUE_STOPPED", "LOGGING_SPLIT_ENABLED", "STATE_PERSISTENCE_CONFIG"),
        *("STATE_PERSISTED_PERIODIC", "STATE_PERSIST_ERROR", "ENGINE_LOOP_CONFIG", "ENGINE_LOOP_START"),
        *("ENGINE_LOOP_STOP", "ENGINE_LOOP_ERROR", "ENGINE_SLOW_CYCLE", "METRICS_INITIALIZED", "ORDER_PLACED"),
    },
    "error stream": {"LOGGING_QUEUE_INIT_FAILED", "LOG_WRITE_FAILED"},
}


@pytest.mark.parametrize("stream", STABLE)
def test_what_operators_look_for_is_told_where_the_page_says(stream: str) -> None:
    rows = [[cell.strip() for cell in line.split("|")] for line in page(ROOT / "tradebot").splitlines()]
    told = {row[1].strip("`") for row in rows if len(row) > 3 and stream in row[2].split(", ")}
    assert STABLE[stream] <= told


def test_every_way_to_tell_a_record_is_found(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "telling.py").write_text(
        'log.emit("system", "INFO", "ONE_TOLD", "text")\n'
        'log.emit_later(1, "orders", level, "TWO_TOLD", render, source)\n'
        'self.note("WARNING", "THREE_TOLD", "text")\n'
        'complain(f"FOUR_TOLD {cause}")\n'
        'record = {"level": "ERROR", "event_type": "FIVE_TOLD"}\n'
        'class Six(Outcome):\n    event_type: ClassVar[str] = "SIX_TOLD"\n    level: ClassVar[Level] = "WARNING"\n'
        'class Fact(Base):\n    event_type: ClassVar[str] = "ORDER_SENT"\n    stream: ClassVar[Stream] = "events"\n'
        'other.emit(fact)\ncomplain("nothing stable")\n',
        encoding="utf-8",
    )
    assert [(told.event_type, told.stream, told.level) for told in records(room)] == [
        ("SIX_TOLD", "events", "WARNING"),
        ("ONE_TOLD", "system", "INFO"),
        ("TWO_TOLD", "orders", ""),
        ("THREE_TOLD", "system", "WARNING"),
        ("FOUR_TOLD", "error stream", "ERROR"),
        ("FIVE_TOLD", "error stream", "ERROR"),
    ]
