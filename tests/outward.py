"""Does anything leave this machine? Asked by tests of clients that know addresses of real exchanges."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Outbound:
    """Every connection and every name looked up by this process, while it is watched; what would leave is blocked."""

    def __init__(self) -> None:
        self.watching = False
        self.inside = 0
        self.outside: list[Any] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.watching or event not in {"socket.connect", "socket.getaddrinfo"}:
            return
        host = args[1][0] if event == "socket.connect" else args[0]
        if host in {"127.0.0.1", b"127.0.0.1"}:
            self.inside += 1
        else:
            self.outside.append((event, host))
            raise PermissionError(f"{event} {host}: blocked by the test")

    @contextmanager
    def watched(self) -> Iterator[Outbound]:
        """Watch, block and count what leaves this machine."""
        self.inside, self.outside, self.watching = 0, [], True
        try:
            yield self
        finally:
            self.watching = False


OUTBOUND = Outbound()
"""The one watch of a process: an audit hook cannot be taken back."""
