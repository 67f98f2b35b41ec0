"""Is a profile ready for its first order? Asked by `tradebot doctor`, by people and by scripts; it changes nothing."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradebot.cli.words import many, show
from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import ExitCode

if TYPE_CHECKING:
    from tradebot.runtime.doctor import Case, Finding
    from tradebot.runtime.doctor_allowed import Allowed

SCHEMA: Final = 1
"""Version of what `--json` prints; keys are added within it, never changed."""

_SHOWN: Final = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skip": "skip"}
_LONGEST_LISTEN_S: Final = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    parser.add_argument("--strict", action="store_true", help="a warning ends it with 1, too")
    parser.add_argument("--offline", action="store_true", help="leave out what asks the exchange")
    parser.add_argument(
        "--listen", type=_seconds, default=5.0, metavar="SECONDS", help="how long prices are awaited (5)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what every check found; 0 if none failed, 1 if one did, 2 if the profile has faults."""
    import asyncio

    from tradebot.config.loader import load_profile
    from tradebot.runtime.clock import WallClock
    from tradebot.runtime.doctor import Case, examine
    from tradebot.runtime.doctor_allowed import allowed
    from tradebot.runtime.doctor_checks import checks_of

    try:
        loaded = load_profile(args.profile)
    except ProfileInvalid as invalid:
        if not args.json:
            raise
        print(
            _json({"schema": SCHEMA, "result": "invalid", "exit_code": 2, "faults": [str(f) for f in invalid.faults]})
        )
        return ExitCode.BAD_PROFILE
    bot = loaded.profile.bot
    home = Path(bot.state_dir) / bot.instance
    case = Case(loaded, os.environ, WallClock(), home, offline=args.offline, listen_s=args.listen)
    found = asyncio.run(examine(case, checks_of(case)))
    worst = _result(found)
    code = 1 if worst == "fail" or (worst == "warn" and args.strict) else 0
    if args.json:
        print(_json(_document(case, found, allowed(case), worst, code, strict=args.strict)))
    else:
        show(_head(case), "", hang=0)
        _show_groups(found)
        print()
        _show_allowed(allowed(case))
        show("", _tail(found, code), hang=0)
    return code


def _result(found: Sequence[Finding]) -> str:
    verdicts = {one.verdict for one in found}
    return next((worst for worst in ("fail", "warn") if worst in verdicts), "ok")


def _head(case: Case) -> str:
    from tradebot.runtime.status import place_of

    where = "filled on paper" if not case.trades else f"sent to {place_of(case.profile)}"
    return f"{case.loaded.name} · {case.loaded.path} · orders are {where} · home {case.home}"


def _show_groups(found: Sequence[Finding]) -> None:
    rows = _rows(found)
    width = max(len(checks) for _, checks, _ in rows)
    group = ""
    for of, checks, one in rows:
        if of != group:
            group = of
            print(group)
        lead = f"  {_SHOWN[one.verdict]:<4}  {checks:<{width}}  "
        show(lead + one.text, hang=len(lead) - 2)
        if one.todo:
            indent = " " * len(lead)
            show(f"{indent}→ {one.todo}", hang=2)


def _rows(found: Sequence[Finding]) -> list[tuple[str, str, Finding]]:
    """Return (group, names of the checks, finding): checks that are left out for one reason share a line."""
    rows: list[tuple[str, str, Finding]] = []
    for one in found:
        group, names, before = rows[-1] if rows else ("", "", None)
        if before is not None and one.verdict == "skip" and (group, before.text) == (one.group, one.text):
            rows[-1] = (group, f"{names}, {one.check}", before)
        else:
            rows.append((one.group, one.check, one))
    return rows


def _show_allowed(told: Sequence[Allowed]) -> None:
    print("what it will be allowed to do")
    width = max(len(one.what) for one in told)
    for one in told:
        lead = f"  {one.what:<{width}}  "
        show(lead + one.text, hang=len(lead) - 2)


def _tail(found: Sequence[Finding], code: int) -> str:
    count = _counts(found)
    parts = [
        f"{count['fail']} failed",
        many(count["warn"], "warning"),
        f"{count['ok']} ok",
        f"{count['skip']} left out",
    ]
    return f"{'ready' if code == 0 else 'NOT ready'} · {' · '.join(parts)} · exit {code}"


def _counts(found: Sequence[Finding]) -> dict[str, int]:
    return {verdict: sum(one.verdict == verdict for one in found) for verdict in _SHOWN}


def _document(
    case: Case, found: Sequence[Finding], told: Sequence[Allowed], result: str, code: int, *, strict: bool
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "profile": case.loaded.name,
        "path": case.loaded.path,
        "home": str(case.home),
        "venue": case.profile.venue.kind,
        "exchange": case.profile.exchange.name if case.trades or case.profile.feed.kind == "ccxt" else None,
        "offline": case.offline,
        "strict": strict,
        "result": result,
        "exit_code": code,
        "counts": _counts(found),
        "checks": [
            {
                "group": one.group,
                "check": one.check,
                "verdict": one.verdict,
                "text": one.text,
                "todo": one.todo,
                "figures": one.figures,
            }
            for one in found
        ],
        "allowed": [{"what": one.what, "text": one.text} for one in told],
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_LISTEN_S:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0 and at most {_LONGEST_LISTEN_S:g}")
    return seconds
