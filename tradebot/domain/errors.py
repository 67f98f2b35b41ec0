"""What went wrong, named by what the caller must do? Asked by the command line and the coordinator."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The process's exit codes, stable for supervisors."""

    CLEAN = 0
    CRASHED = 1
    BAD_PROFILE = 2
    FORCED = 3
    FATAL_RELOAD = 4
    RECOVERY_REFUSED = 5
    ORDERS_LEFT = 6
    EXCHANGE_AWAY = 7
    INTERRUPTED = 130  # Ctrl-C outside a run: 128 and the signal's number, as shells expect


class TradebotError(Exception):
    """Base of every error of ours; its text is one line for the operator."""


class CannotStart(TradebotError):
    """Start-up met something the operator must mend first; `exit_code` says which kind."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.CRASHED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ExchangeAway(CannotStart):
    """The exchange answers nobody, or not this address, just now; `until_ms` is 0 where it names no time."""

    def __init__(self, message: str, until_ms: int = 0) -> None:
        super().__init__(message, ExitCode.EXCHANGE_AWAY)
        self.until_ms = until_ms


class StorageFailed(TradebotError):
    """A journal, checkpoint or account store could not be read or written; nothing more may be sent."""


class NewerVersion(StorageFailed):
    """A file is from a newer version of this program: it is whole, and only that version may touch it."""


class DataInvalid(TradebotError):
    """A recording cannot be read as it stands; the text names file and place."""
