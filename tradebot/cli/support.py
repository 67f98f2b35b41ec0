"""What may be shown to somebody who helps? Asked by `tradebot support`: a bundle of a bot's records, safe to post."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import sys
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from tradebot.cli.words import many, show
from tradebot.config.secrets import mask
from tradebot.domain.errors import StorageFailed

if TYPE_CHECKING:
    from tradebot.config.loader import Loaded

FACTS: Final = 2_000
"""So many of the journal's last facts are in it."""

_MOST_BYTES: Final = 5_000_000  # of the end of one file
_KEPT: Final = ("logs/**/*", "metrics/**/*", "stackdump*.txt")
_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ADDRESSES: Final = (
    re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)"),
    re.compile(r"(?<![\w.:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"),
)
_LEAST_HOST: Final = 4  # a shorter name of a machine would be found in other words


class Part(Struct, frozen=True):
    """One file of a bundle, with what it is."""

    name: str
    what: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the zip file (support-INSTANCE.zip)")
    parser.add_argument("--list", action="store_true", help="tell what would be in it, and write nothing")


def run(args: argparse.Namespace) -> int:
    """List the bundle's content, then write it; 0, or 1 where it cannot be written. Raises ProfileInvalid."""
    from tradebot.config.loader import load_profile

    loaded = load_profile(args.profile)
    _hear_of_keys(os.environ)
    hide = Hider(str(Path.home()), socket.gethostname())
    parts = [Part(one.name, one.what, hide.text(one.text)) for one in _parts(loaded)]
    width = max(len(one.name) for one in parts)
    for one in parts:
        show(f"  {one.name:<{width}}  {len(one.text.encode()):>9,} bytes  {one.what}")
    show(
        "keys, e-mail addresses, network addresses, the home folder and this machine's name are masked in it; symbols, "
        "prices, amounts and profits are not",
        hang=0,
    )
    if args.list:
        return 0
    out = args.out or Path(f"support-{loaded.profile.bot.instance}.zip")
    try:
        _write(out, parts)
    except OSError as error:
        show(f"tradebot: {out}: the bundle cannot be written ({error.strerror or error})", file=sys.stderr)
        return 1
    show(f"{out}: {many(len(parts), 'file')}, read it before you post it")
    return 0


class Hider:
    """Masks what says who and where somebody is, besides the keys."""

    def __init__(self, home: str, host: str) -> None:
        self._home = home if len(home) > 1 else ""
        self._host = re.compile(rf"\b{re.escape(host)}\b") if len(host) >= _LEAST_HOST else None

    def text(self, text: str) -> str:
        """Return `text` without keys, addresses, home folder and name of the machine; loopback addresses stay."""
        text = mask(text)
        if self._home:
            text = text.replace(self._home, "~")
        if self._host is not None:
            text = self._host.sub("<machine>", text)
        text = _MAIL.sub("<e-mail>", text)
        for addresses in _ADDRESSES:
            text = addresses.sub(_address, text)
        return text


def _address(found: re.Match[str]) -> str:
    try:
        address = ip_address(found[0])
    except ValueError:
        return found[0]  # a time of day, or a version
    return found[0] if address.is_loopback or address.is_unspecified else "<address>"


def _hear_of_keys(environ: Mapping[str, str]) -> None:
    """Learn the keys that are to be masked; without them the logs' own masking has to do, which is said."""
    from tradebot.domain.errors import CannotStart
    from tradebot.exchange.credentials import read_credentials

    try:
        read_credentials(environ)
    except CannotStart as error:
        show(
            f"tradebot: no key is looked for ({error}); what the bot wrote was masked as it was written",
            file=sys.stderr,
        )


def _parts(loaded: Loaded) -> Iterator[Part]:
    from tradebot.config.show import effective

    told = {name: version(name) for name in ("tradebot", "ccxt", "aiohttp", "msgspec", "pydantic")}
    told |= {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    yield Part("versions.json", "versions of the software", json.dumps(told, indent=2) + "\n")
    yield Part("profile.toml", "the effective profile, without comments", effective(loaded))
    bot = loaded.profile.bot
    yield from _sessions(Path(loaded.profile.sessions.dir), bot.instance)
    yield _journal(Path(bot.state_dir) / bot.instance / "journal.sqlite")


def _sessions(sessions: Path, instance: str) -> Iterator[Part]:
    """Yield the files of a bot's newest session: its record, logs, stack dumps and metrics.

    Where the bot runs and a start beside it was refused since, the running one's come first, then the refused one's.
    """
    from tradebot.storage.session import in_use

    found = [folder for folder in sorted(sessions.glob("*/"), reverse=True) if _is_of(folder, instance)]
    if not found:
        return
    shown = next(filter(in_use, found), found[0])
    yield from _session(shown, "")
    if shown is not found[0]:
        yield from _session(found[0], "newest_start/")


def _is_of(folder: Path, instance: str) -> bool:
    from tradebot.storage.session import read_session

    try:
        return read_session(folder).instance == instance
    except StorageFailed:
        return False  # no session, or one of another version: it is not what is asked about


def _session(folder: Path, under: str) -> Iterator[Part]:
    what = f"the record of session {folder.name}{', a start beside the running bot' if under else ''}"
    yield Part(f"{under}session.json", what, _end_of(folder / "session.json"))
    for path in sorted(path for name in _KEPT for path in folder.glob(name) if path.is_file()):
        what = f"the last {_MOST_BYTES:,} bytes" if path.stat().st_size > _MOST_BYTES else "whole"
        yield Part(f"{under}{path.relative_to(folder)}", what, _end_of(path))


def _end_of(path: Path) -> str:
    """Return the last lines of a file, as text. Raises StorageFailed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MOST_BYTES))
            data = file.read(_MOST_BYTES)
    except OSError as error:
        raise StorageFailed(f"{path}: cannot be read ({error.strerror or error})") from error
    if size > _MOST_BYTES:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")


def _journal(path: Path) -> Part:
    from tradebot.cli.journal import line_of
    from tradebot.storage.journal_archive import missing_until
    from tradebot.storage.journal_file import read_facts
    from tradebot.storage.journal_salvage import pruned_of

    lines: deque[str] = deque(maxlen=FACTS)
    try:
        lines.extend(line_of(*seen) for seen in read_facts(path, missing_until(path, pruned_of(path))))
    except StorageFailed as error:
        lines.append(json.dumps({"unreadable": str(error)}))
    return Part("journal.jsonl", f"the journal's last {FACTS:,} facts", "".join(f"{line}\n" for line in lines))


def _write(out: Path, parts: list[Part]) -> None:
    """Write the bundle, its owner's alone; one that is there is not written over. Raises OSError."""
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        for one in parts:
            bundle.writestr(one.name, one.text)
