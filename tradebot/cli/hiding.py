"""What if a process that holds keys breaks, or is typed one? Asked by the shell's entry, before anything else."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from tradebot.config.secrets import KEPT, key_like, mask
from tradebot.exchange.credentials import NAMES, keep_secret

_LEAST_CORE_BYTES = 1
"""Too small for any core file; and, unlike 0, also keeps the kernel from handing one to a program (core(5))."""


class Parser(argparse.ArgumentParser):
    """A parser that says no key that was typed in the wrong place."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(mask(message), file)


def hide_keys(environ: Mapping[str, str]) -> None:
    """Let nothing that ends this process show a key: no traceback of any thread, no record, no core file."""
    keep_secret(environ)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    logging.lastResort = _LastResort()
    if any(environ.get(name) or environ.get(f"{name}_FILE") for name in NAMES):
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        soft = _LEAST_CORE_BYTES if hard == resource.RLIM_INFINITY else min(_LEAST_CORE_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def hide_typed(words: Iterable[str]) -> None:
    """Mask, in whatever is printed, every typed word that looks like a key and names no file."""
    for word in words:
        for part in {word, word.partition("=")[2]}:
            if key_like(part) and not os.path.exists(part):
                KEPT.register(part)


def _uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    _print("".join(traceback.format_exception(kind, error, at)))


def _uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_type is SystemExit:
        return
    name = "?" if caught.thread is None else caught.thread.name
    lines = traceback.format_exception(caught.exc_type, caught.exc_value, caught.exc_traceback)
    _print(f"Exception in thread {name}:\n{''.join(lines)}")


def _unraisable(ignored: sys.UnraisableHookArgs) -> None:
    said = ignored.err_msg or "Exception ignored in"
    lines = traceback.format_exception(ignored.exc_type, ignored.exc_value, ignored.exc_traceback)
    _print(f"{said}: {ignored.object!r}\n{''.join(lines)}")


class _LastResort(logging.Handler):
    """Where records go that no log takes: Python's own prints them as they are."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record to the error stream."""
        try:
            text = self.format(record)
        except (TypeError, ValueError, KeyError):
            text = f"{record.name}: a record that cannot be put into words"
        _print(f"{text}\n")


def _print(text: str) -> None:
    try:
        sys.stderr.write(mask(text))
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return  # nobody can read it any more
