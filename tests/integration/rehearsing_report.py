"""What happened in a rehearsal, in figures, and what of it is wrong beyond a difference? Asked by `rehearsing`."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from msgspec import Struct

from tests.integration.comparing import Differences
from tests.integration.processes import CARELESS
from tests.integration.rehearsing_processes import Life, Party, Sample

WARM_SHARE: Final = 0.55
LONGEST_WARM_S: Final = 1_020.0
"""What a process does before it is warm is not judged: the first half of its life and more, at most 17 minutes.
By then the exchange holds the last thousand trades of every symbol, which is all that it keeps."""

JUDGED_S: Final = 600.0
"""Below so long a warm life, a growth of memory says nothing: a rehearsal of half an hour is judged."""

COUNTED_S: Final = 60.0
"""Below so long a warm life, pools of connections and threads may still fill."""

MOST_GROWTH_PCT: Final = 2.0
KEEPER_GROWTH_PCT: Final = 10.0
"""The exchange keeps every order and trade of its accounts to be asked for: some half a MB for a thousand orders."""

MORE_FDS: Final = 8
MORE_THREADS: Final = 4
"""So many more descriptors or threads than when it was warm are no leak; of descriptors also one a symbol: as many
requests may be under way at once, and a connection that was opened for one is kept while there is anything to ask."""


class Held(Struct, frozen=True):
    """What a process held at its start, when it was warm, and at its end; memory in MB, its processor share in %."""

    rss_mb: tuple[float, float, float]
    fds: tuple[int, int, int]
    threads: tuple[int, int, int]
    cpu_pct: float
    warm_s: float

    @property
    def growth_pct(self) -> float:
        """How much its memory grew since it was warm."""
        return 100 * (self.rss_mb[2] / self.rss_mb[1] - 1) if self.rss_mb[1] else 0.0


class Figures(Struct, frozen=True):
    """What happened; `levels` counts the bot's WARNING and ERROR records by (level, event type)."""

    seconds: float
    bot: Held
    exchange: Held
    codes: Mapping[str, tuple[int | None, ...]]
    levels: Counter[tuple[str, str]]
    struck: Counter[str]
    log_kb: float
    ends: tuple[Mapping[str, Any], ...]


def figures_of(folder: Path, seconds: float, bot: Party, exchange: Party, struck: Counter[str]) -> Figures:
    """Return the figures of a rehearsal in `folder` that is over."""
    levels: Counter[tuple[str, str]] = Counter()
    size = 0
    for path in sorted((folder / "sessions").glob("*/logs/*.jsonl")):
        size += path.stat().st_size
        for line in path.read_text().splitlines():
            if '"INFO"' not in line and line.endswith("}"):
                record = json.loads(line)
                if record["level"] in {"WARNING", "ERROR"}:
                    levels[record["level"], record["event_type"]] += 1
    sessions = sorted((folder / "sessions").glob("*/session.json"))
    ends = tuple(json.loads(path.read_text()) for path in sessions)
    codes = {party.name: tuple(life.code for life in party.lives) for party in (bot, exchange)}
    return Figures(seconds, _held(bot.life), _held(exchange.life), codes, levels, struck, size / 1024, ends)


def complaints(figures: Figures, bot: Party, exchange: Party, *, calm: bool, symbols: int) -> list[str]:
    """Return what is wrong with how both behaved; `calm` says that nothing was done to them."""
    wrong = []
    for party in (bot, exchange):
        held, most_pct = (figures.bot, MOST_GROWTH_PCT) if party is bot else (figures.exchange, KEEPER_GROWTH_PCT)
        *before, final = party.lives
        wrong += [
            f"{party.name} ended by itself with {life.code}"
            for life in before
            if life.code != -signal.SIGKILL and (calm or not life.never_began)
        ]
        wrong += [f"{party.name} ended with {final.code}"] if final.code != 0 else []
        wrong += [f"{party.name} {each}" for each in _leaks(held, symbols, most_pct)]
        wrong += [
            f"{party.name} said {line.strip()!r}"
            for life in party.lives
            for line in life.text.splitlines()
            if any(sign in line for sign in CARELESS)
        ]
    left = _left_behind(figures)
    wrong += [f"bot left behind {left}"] if left else []
    if calm:
        wrong += [f"{count} {level} {kind}" for (level, kind), count in figures.levels.items() if level == "ERROR"]
    return wrong


def table(figures: Figures, differences: Differences) -> str:
    """Return the figures as a table for people."""
    bot, exchange = figures.bot, figures.exchange
    rows = [
        ("orders", str(differences.orders)),
        ("fills", str(differences.fills)),
        ("symbols traded", str(differences.symbols)),
        ("differences", str(len(differences))),
        ("kills", ", ".join(f"{name} {codes.count(-signal.SIGKILL)}" for name, codes in figures.codes.items())),
        ("faults hit", _counted({(name,): count for name, count in figures.struck.items()})),
        ("bot memory", _memory(bot, MOST_GROWTH_PCT)),
        ("exchange memory", _memory(exchange, KEEPER_GROWTH_PCT)),
        *[(f"{name} descriptors", _three(held.fds)) for name, held in (("bot", bot), ("exchange", exchange))],
        *[(f"{name} threads", _three(held.threads)) for name, held in (("bot", bot), ("exchange", exchange))],
        ("processor", f"bot {bot.cpu_pct:.1f} %, exchange {exchange.cpu_pct:.1f} % of a core"),
        ("left behind", _left_behind(figures) or "nothing: no thread, task, child, file or socket"),
        ("exit codes", "; ".join(f"{name} {', '.join(map(str, codes))}" for name, codes in figures.codes.items())),
        ("errors logged", _counted({key[1:]: n for key, n in figures.levels.items() if key[0] == "ERROR"})),
        ("warnings logged", _counted({key[1:]: n for key, n in figures.levels.items() if key[0] == "WARNING"})),
        ("logs", f"{figures.log_kb:,.0f} KB"),
    ]
    return "\n".join(f"{head:22} {text}" for head, text in rows)


def _held(life: Life) -> Held:
    samples = life.samples or [Sample(1.0, 0, 0.0, 0, 0)]
    end_s = samples[-1].at_s
    warm_s = min(end_s * WARM_SHARE, LONGEST_WARM_S)
    span = max((end_s - warm_s) * 0.2, 1.0)
    warm = [each for each in samples if warm_s <= each.at_s <= warm_s + span] or samples
    last = [each for each in samples if each.at_s >= end_s - span] or samples
    parts: tuple[Sequence[Sample], ...] = (samples[:1], warm, last)
    rss = [median(each.rss_kb for each in part) / 1024 for part in parts]
    fds = [max(each.fds for each in part) for part in parts[:2]] + [min(each.fds for each in last)]
    threads = [max(each.threads for each in part) for part in parts[:2]] + [min(each.threads for each in last)]
    return Held(
        rss_mb=(rss[0], rss[1], rss[2]),
        fds=(fds[0], fds[1], fds[2]),
        threads=(threads[0], threads[1], threads[2]),
        cpu_pct=100 * samples[-1].cpu_s / end_s,
        warm_s=end_s - warm_s,
    )


def _leaks(held: Held, symbols: int, most_pct: float) -> list[str]:
    words = []
    if held.warm_s >= JUDGED_S and held.growth_pct >= most_pct:
        words.append(f"memory grew by {held.growth_pct:.1f} % since it was warm")
    if held.warm_s >= COUNTED_S and held.fds[2] > held.fds[1] + MORE_FDS + symbols:
        words.append(f"holds {held.fds[2]} descriptors, {held.fds[1]} when it was warm")
    if held.warm_s >= COUNTED_S and held.threads[2] > held.threads[1] + MORE_THREADS:
        words.append(f"has {held.threads[2]} threads, {held.threads[1]} when it was warm")
    return words


def _left_behind(figures: Figures) -> str:
    """Return in words what the bot's last process still held at its end, "" where it was nothing."""
    shutdown = figures.ends[-1].get("shutdown", {}) if figures.ends else {}
    left = shutdown.get("left", {"it cannot be said": ["it told of no end"]})
    kinds = {**left, "stragglers": shutdown.get("stragglers", [])}
    parts = [
        f"{kind}: {', '.join(map(str, names))}" for kind, names in kinds.items() if isinstance(names, list) and names
    ]
    return "; ".join(parts)


def _memory(held: Held, most_pct: float) -> str:
    start, warm, end = held.rss_mb
    judged = "GROWS" if held.growth_pct >= most_pct else "flat" if held.growth_pct < MOST_GROWTH_PCT else "as it keeps"
    verdict = judged if held.warm_s >= JUDGED_S else "too short to judge"
    return f"{start:.1f} → {warm:.1f} → {end:.1f} MB, {held.growth_pct:+.1f} % since warm: {verdict}"


def _three(numbers: tuple[int, int, int]) -> str:
    return " → ".join(map(str, numbers))


def _counted(counts: Mapping[tuple[str, ...], int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = ", ".join(f"{' '.join(key)} {count}" for key, count in most)
    return f"{sum(counts.values())}" + (f" ({names})" if names else "")
