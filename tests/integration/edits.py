"""What might an operator do to the profile of a running bot? Random edits from a seed; asked by many edits at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from tests.config.any_profile import borders
from tradebot.config.base import ReloadClass
from tradebot.config.catalogue import NAME, Setting, find, walk
from tradebot.config.sections.features import Features

SYMBOLS = 50

BASE: dict[str, str] = {
    "bot.instance": '"edits"',
    "feed.synthetic.symbols": f"{SYMBOLS}",
    "feed.synthetic.updates_per_s": "10",
    "feed.synthetic.volatility_bps": "12",
    "drop.threshold_bps": "6",
    "drop.cooldown_s": "0.5",
    "drop.debounce_s": "0.1",
    "drop.anchor.window_s": "20",
    "drop.anchor.window_buckets": "20",
    "drop.anchor.warmup_s": "0.2",
    "execution.steps": '[{ tif = "IOC" }, { tif = "GTC", offset_bps = -2 }]',
    "execution.wait_ms.IOC": "600",
    "execution.wait_ms.GTC": "600",
    "execution.wait_ms.other": "600",
    "execution.send_deadline_ms": "250",
    "execution.max_spread_bps": "25",
    "budget.per_trade_quote": "50",
    "budget.max_positions": "30",
    "exits.take_profit_bps": "30",
    "exits.stop_loss_bps": "60",
    "exits.max_hold_s": "3",
    "exits.check_interval_s": "0.2",
    "intents.max_age_s": "10",
    "intents.check_interval_s": "2",
    "reload.settle_ms": "40",
    "reload.probation_s": "1",
    "reload.keep_generations": "100",
    "reload.guards.max_errors_per_min": "1000",
    "reload.guards.max_reject_pct": "90",
    "reload.guards.min_orders": "1000",
    "reload.guards.max_slow_cycles_per_min": "10000",
    "reload.guards.max_drawdown_bps": "5000",
    "reload.guards.max_component_failures": "1000",
    "state.persist_interval_s": "1",
    "metrics.export_interval_s": "1",
    "control.request_timeout_s": "60",
    "logging.max_disk_mb": "1000",
    "sessions.max_disk_mb": "5000",
}
"""Where the edits begin: fifty symbols, ten prices a second each, much to buy and sell, guards out of reach."""

_LADDERS = (
    '[{ tif = "IOC" }, { tif = "GTC", offset_bps = -2 }]',
    '[{ tif = "GTC", offset_bps = -1 }]',
    '[{ tif = "PO", offset_bps = -3 }, { tif = "IOC", offset_bps = 5 }]',
    '[{ tif = "FOK" }, { tif = "IOC", offset_bps = 4 }, { tif = "GTC" }]',
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "execution.steps": _LADDERS,
    "exits.steps": (
        '[{ tif = "IOC" }, { type = "market" }]',
        '[{ tif = "GTC" }, { tif = "IOC" }, { type = "market" }]',
    ),
    "exits.trailing": ('"off"', "{ activate_bps = 12, distance_bps = 6 }", "{ activate_bps = 20, distance_bps = 4 }"),
    "drop.anchor.window_s": ("10", "20", "30"),
    "drop.anchor.window_buckets": ("10", "20", "40"),
    "drop.anchor.warmup_s": ("0", "0.2", "0.5"),
    "drop.anchor.session_start_s": ("0", "3600", "80000"),
    "drop.confirm_s": ("0", "0.1", "0.3"),
    "features.control_door": ("true",),  # its own kind of edit switches it off, and on again
}
"""Settings whose values are chosen from these."""

_ALONE = frozenset({"exits.trailing.activate_bps", "exits.trailing.distance_bps"})
"""Written with the table they stand in."""

_BROKEN = ("exits.max_hold_s = \n", "[exits\n", "a = 'b\n", "\x00", "= 5\n", "a.b = 1\na.b.c = 2\n", "drop = 5\n")

_WRONG = (
    ("drop.threshold_bps", '"deep"'),
    ("exits.stop_loss_bps", "-5"),
    ("budget.max_positions", "2.5"),
    ("features.buying", "1"),
    ("no.such_key", "1"),
    ("market.symbols", '"SYN001/USDT"'),
    ("execution.steps", "[]"),
    ("engine.heartbeat_timeout_s", "0.1"),
)

_RESTART = (
    ("bot.seed", "{n}"),
    ("bot.state_dir", '"elsewhere"'),
    ("sessions.dir", '"others"'),
    ("engine.queue_limit", "{n}"),
    ("engine.band", "false"),
    ("venue.paper.initial_quote", "{n}"),
    ("journal.batch_ms", "9"),
    ("logging.validate_timeout_s", "9"),
    ("market.quote", '"EUR"'),
)

TOGGLES = tuple(name for name in Features.model_fields if name != "control_door")
"""What is switched at the door; the door itself only in the file, since nobody could switch it on again."""

WEIGHTS: dict[str, int] = {
    "live": 34,
    "rebuild": 14,
    "several": 8,
    "base": 5,
    "comment": 4,
    "remove": 5,
    "restart": 5,
    "broken": 5,
    "wrong": 5,
    "half": 2,
    "burst": 2,
    "link": 2,
    "deleted": 1,
    "door": 1,
    "switch": 8,
    "rollback": 4,
    "reload": 3,
    "pause": 2,
}
"""How often each kind is made, in some hundred. From `switch` on they are asked at the control door."""


class Written(Struct, frozen=True):
    """What the two files of a profile say: settings by dotted key, each as TOML has it."""

    base: Mapping[str, str]
    top: Mapping[str, str]

    def texts(self, number: int, tail: str = "") -> tuple[bytes, bytes]:
        """Return (base.toml, p.toml) as edit `number` writes them, `tail` behind the profile."""
        top = f'# edit {number}\nextends = "base.toml"  # kept, comments and all\n{_lines(self.top)}{tail}'
        return _lines(self.base).encode(), top.encode()

    def said(self, key: str) -> str | None:
        """Return what holds for `key`, None where neither file says it."""
        return self.top.get(key, self.base.get(key))


class Edit(Struct, frozen=True):
    """One thing an operator does. `after` is what the files say then, `tail` what is broken behind it.

    `confirm` says whether it is confirmed where it waits. A switch has its `feature` and `on`, a rollback how many
    generations it goes `back`, a burst the texts `before` the last one.
    """

    kind: str
    after: Written
    tail: str = ""
    in_place: bool = False
    confirm: bool = True
    feature: str = ""
    on: bool | None = None
    back: int = 0
    before: tuple[Written, ...] = ()


class Operator:
    """Makes up edits, the same for the same seed and answers. Every kind comes first once, and every setting."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        kinds = list(WEIGHTS)
        self.draw.shuffle(kinds)
        self._first = kinds
        self._decks: dict[ReloadClass, list[str]] = {"live": [], "rebuild": []}
        self._number = 10_000

    def next(self, now: Written) -> Edit:
        """Return the next edit of a profile that says `now`."""
        draw = self.draw
        kind = self._first.pop() if self._first else draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        plain = Edit(kind, now, in_place=draw.random() < 0.3, confirm=draw.random() < 0.7)
        return _replaced(plain, **self._made(kind, now))

    def _made(self, kind: str, now: Written) -> dict[str, object]:
        draw = self.draw
        match kind:
            case "live" | "rebuild":
                return {"after": self._edited(now, kind, 1)}
            case "several":
                return {
                    "after": self._edited(self._edited(now, "live", draw.randint(2, 6)), "rebuild", draw.randint(0, 2))
                }
            case "base":
                key, value = self._drawn(draw.choice(("live", "rebuild")))
                rest = {one: said for one, said in now.top.items() if one != key}
                return {"after": Written({**now.base, key: value}, rest)}
            case "remove":
                keys = list(now.top)
                gone = set(draw.sample(keys, min(len(keys), draw.randint(1, 3))))
                return {"after": Written(now.base, {key: value for key, value in now.top.items() if key not in gone})}
            case "restart":
                self._number += 1
                key, value = draw.choice(_RESTART)
                return {"after": _with(self._edited(now, "live", 1), {key: value.format(n=self._number)})}
            case "wrong":
                return {"after": _with(now, dict([draw.choice(_WRONG)]))}
            case "broken":
                return {"tail": draw.choice(_BROKEN)}
            case "burst":
                return {"before": tuple(self._tightened(now) for _ in range(19)), "after": self._tightened(now)}
            case "half" | "link" | "deleted":
                return {"after": self._tightened(now)}
            case "switch":
                return {"feature": draw.choice(TOGGLES), "on": draw.choice((True, False, False, None, None))}
            case "rollback":
                return {"back": draw.choice((1, 1, 2, 3, 5, 10, 40, 90))}
        return {}

    def _edited(self, now: Written, reload: ReloadClass, count: int) -> Written:
        return _with(now, dict(self._drawn(reload) for _ in range(count)))

    def _tightened(self, now: Written) -> Written:
        """Return an edit that waits for nobody."""
        return _with(now, {"exits.take_profit_bps": str(self.draw.randint(25, 60))})

    def _drawn(self, reload: ReloadClass) -> tuple[str, str]:
        """Return a setting of that class, each in its turn, and a value for it."""
        deck = self._decks[reload]
        if not deck:
            deck.extend(key for key, _ in settings(reload))
            self.draw.shuffle(deck)
        key = deck.pop()
        return key.replace(NAME, f'"SYN{self.draw.randint(1, SYMBOLS):03d}/USDT"'), self._value(key)

    def _value(self, key: str) -> str:
        draw = self.draw
        if key in _CHOICES:
            return draw.choice(_CHOICES[key])
        if key == "market.symbols":
            names = [f"SYN{number:03d}/USDT" for number in range(1, SYMBOLS + 6)]
            return str(draw.sample(names, draw.randint(SYMBOLS - 5, SYMBOLS))).replace("'", '"')
        setting = find(tuple(key.split(".")))
        if setting is None:
            raise LookupError(key)
        if setting.unset and draw.random() < 0.15:
            return f'"{setting.unset}"'
        if setting.kind == "flag":
            return draw.choice(("true", "false"))
        if setting.kind == "choice":
            return f'"{draw.choice(setting.choices)}"'
        return self._near(key, setting)

    def _near(self, key: str, setting: Setting) -> str:
        """Return a number between half and twice of where the edits begin, within the setting's borders."""
        begin = Decimal(BASE.get(key) or str(setting.default or 10))
        low, high = borders(setting)
        value = min(high, max(low, begin * Decimal(self.draw.randint(50, 200)) / 100))
        return str(round(value)) if setting.kind == "whole" else f"{value:.3f}"


def settings(reload: ReloadClass) -> Iterator[tuple[str, Setting]]:
    """Yield (dotted key, setting) of everything of that class that is edited by itself."""
    for path, setting in walk():
        key = ".".join(path)
        around = [find(path[:length]) for length in range(1, len(path) + 1)]
        classes = {one.reload for one in around if one is not None}
        strictest = next(each for each in ("restart", "rebuild", "live") if each in classes)
        edited = (setting.leaf and "[]" not in key and key not in _ALONE) or key == "exits.trailing"
        if strictest == reload and edited:
            yield key, setting


def _with(now: Written, more: Mapping[str, str]) -> Written:
    return Written(now.base, {**now.top, **more})


def _replaced(edit: Edit, **parts: object) -> Edit:
    fields = {name: parts.get(name, getattr(edit, name)) for name in edit.__struct_fields__}
    return Edit(**fields)  # type: ignore[arg-type]


def _lines(said: Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in said.items())
