"""Which calls did each client make? Printed at the end of every run that had tests of clients, whoever ran them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print each client's calls with their counts; a module that several processes ran counts once."""
    modules: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "calls":
                    client, module, calls = value
                    modules[client, module] |= Counter(calls)
    clients: dict[str, Counter[str]] = defaultdict(Counter)
    for (client, _), calls in modules.items():
        clients[client] += calls
    for client, calls in sorted(clients.items()):
        terminalreporter.write_sep("-", f"{client}: {sum(calls.values())} calls of {len(calls)} kinds")
        for call, count in sorted(calls.items()):
            terminalreporter.write_line(f"{call}: {count}")
