"""Do the texts that outlive an error (facts, verdicts, counts, crash reports) hold a key that stood in it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.test_outbox import StalledJournal, Wire, query
from tests.secrets.planting import KEY, PASSWORD, SECRET, echo, found_below, found_in
from tests.storage.generations import apply, generation, open_history
from tradebot.domain.events import OutcomeUnknown
from tradebot.exchange.credentials import Credentials
from tradebot.runtime.coordinator import trace
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.outbox import Outbox


@pytest.fixture(autouse=True)
def held() -> Credentials:
    """Hold the planted keys, as a bot does from its start on."""
    return Credentials(KEY, SECRET, PASSWORD)


def test_an_event_that_will_be_journalled_holds_no_key_of_the_error_it_tells() -> None:
    box = Outbox(Wire(OSError(echo())), StalledJournal(), lambda _what, _error: None)
    box.put([query("a-1-1")], 0, 10)
    (unknown,) = [event for event in box.news if isinstance(event, OutcomeUnknown)]
    assert unknown.cause.startswith("OSError: ***")
    assert found_in(unknown.cause) == []


def test_the_last_error_of_a_component_holds_no_key() -> None:
    tired: list[str] = []
    failures = ComponentFailures(2, lambda _name, _in_a_row, last: tired.append(last))
    failures.failed("metrics", ValueError(echo()))
    failures.failed("metrics", f"again {SECRET}")
    assert tired == ["again ***"]
    failures.failed("feed", ValueError(echo()))
    assert found_in(failures.of("feed").last) == []


def test_a_traceback_with_its_causes_and_notes_holds_no_key() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            error.add_note(KEY)
            raise RuntimeError(echo()) from error
    except RuntimeError as error:
        text = trace(error)
    assert "RuntimeError: ***" in text
    assert "ValueError: ***" in text
    assert found_in(text) == []


def test_the_history_of_the_profile_keeps_no_key_of_what_condemned_it(tmp_path: Path) -> None:
    history = open_history(tmp_path / "profiles.sqlite")
    apply(history, 1)
    apply(history, 2)
    history.condemn(2, 5, f"crashed on probation: {echo()}", "watch")
    history.begin(generation(3))
    history.fail(3, 6, echo())
    history.close()
    assert found_below(tmp_path) == {}
