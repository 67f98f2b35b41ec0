"""What if a process that holds keys breaks, or is typed one? Asked by the shell's entry, before anything else."""

from __future__ import annotations

import argparse
import io
import os
import resource
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tradebot.config.secrets import KEPT, key_like, mask
from tradebot.exchange.credentials import NAMES, keep_secret

_LEAST_CORE_BYTES = 1
"""Too small for any core file; and, unlike 0, also keeps the kernel from handing one to a program (core(5))."""


class MaskedText(io.TextIOWrapper):
    """A standard stream that writes no key, whoever prints: a command, a library, Python's own traceback."""

    def write(self, text: str, /) -> int:
        """Write `text` with every key masked; return its length."""
        super().write(mask(text))
        return len(text)

    def write_public(self, text: str, /) -> int:
        """Write `text` as it is, though a key may be spelt so; return its length."""
        return super().write(text)


class Parser(argparse.ArgumentParser):
    """A parser that says no key that was typed in the wrong place."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(mask(message), file)


def show_public(text: str) -> None:
    """Write what everybody may know to stdout, also where the shell's own keys are spelt so."""
    stream = sys.stdout
    if isinstance(stream, MaskedText):
        stream.write_public(text)
    else:
        stream.write(text)


def hide_keys(environ: Mapping[str, str]) -> None:
    """Let nothing that this process prints show a key, and let no core file hold one."""
    keep_secret(environ)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, MaskedText):
            encoding, errors, by_line, through = (
                stream.encoding,
                stream.errors,
                stream.line_buffering,
                stream.write_through,
            )
            stream.flush()
            masked = MaskedText(stream.detach(), encoding, errors, line_buffering=by_line, write_through=through)
            setattr(sys, name, masked)
            setattr(sys, f"__{name}__", masked)
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
