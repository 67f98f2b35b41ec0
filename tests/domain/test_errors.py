"""Do errors and exit codes say what the caller must do?"""

from __future__ import annotations

import pytest

from tradebot.domain.errors import CannotStart, DataInvalid, ExitCode, StorageFailed, TradebotError


def test_exit_codes_stay_what_supervisors_know() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "CLEAN": 0,
        "CRASHED": 1,
        "BAD_PROFILE": 2,
        "FORCED": 3,
        "FATAL_RELOAD": 4,
        "RECOVERY_REFUSED": 5,
        "ORDERS_LEFT": 6,
        "EXCHANGE_AWAY": 7,
        "INTERRUPTED": 130,
    }


def test_a_start_that_cannot_be_carries_its_exit_code_and_one_line() -> None:
    error = CannotStart("journal.sqlite: written by a newer version", ExitCode.RECOVERY_REFUSED)
    assert (str(error), error.exit_code) == ("journal.sqlite: written by a newer version", 5)
    assert CannotStart("x").exit_code is ExitCode.CRASHED


@pytest.mark.parametrize("kind", [CannotStart, StorageFailed, DataInvalid])
def test_every_error_of_ours_is_caught_as_one(kind: type[TradebotError]) -> None:
    with pytest.raises(TradebotError, match="what is wrong"):
        raise kind("what is wrong")
