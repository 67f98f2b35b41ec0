"""How does the engine's picture reach the disk, and come back? Asked by the live shell, recovery and scripts.

The file is one JSON object: what the engine said at one `seq` (orders, intents, positions, ...), and under `windows`
each symbol's price window with its own time. `schema` numbers its shape, `crc32` is the check sum of what follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Condition, Thread
from typing import Any
from zlib import crc32

import msgspec

from tradebot.domain.errors import NewerVersion, StorageFailed
from tradebot.ports import Log
from tradebot.storage.files import reason, write_atomic

SCHEMA = 1
"""Version of the checkpoint's shape."""

Windows = Sequence[tuple[str, bytes]]
"""(symbol, JSON object of its window), copied in slices between cycles."""


class Checkpointer:
    """Writes checkpoints beside the engine: `submit` only hands over, one thread assembles and writes.

    The first target is the durable one (waited for on the disk); the others are copies that scripts read.
    A failure is told as STATE_PERSIST_ERROR and the next submission tries again; it never ends the bot.
    `on_durable` hears, in the writer's thread, of each document that has reached the durable file.
    """

    def __init__(
        self, durable: Path, copies: Sequence[Path], log: Log, on_durable: Callable[[bytes], None] | None = None
    ) -> None:
        self._durable = durable
        self._copies = tuple(copies)
        self._log = log
        self._on_durable = on_durable
        self._changed = Condition()
        self._next: tuple[bytes, Windows] | None = None
        self._submitted = 0
        self._settled = 0
        self._succeeded = 0
        self._written = 0
        self._closing = False
        self._writer = Thread(target=self._run, name="checkpoint-writer", daemon=True)

    def start(self) -> None:
        """Start the writer's thread."""
        self._writer.start()

    def submit(self, core: bytes, windows: Windows) -> None:
        """Hand over one picture: `core` is a JSON object with `seq`, without `schema` and `windows`.

        Neither is changed afterwards. A picture still waiting is replaced by the newer one.
        """
        with self._changed:
            self._next = (core, windows)
            self._submitted += 1
            self._changed.notify_all()

    @property
    def written(self) -> int:
        """How many checkpoints have reached the durable file."""
        return self._written

    @property
    def settled(self) -> int:
        """Up to which submission every picture was written, has failed, or was replaced by a newer one."""
        return self._settled

    @property
    def busy(self) -> bool:
        """Whether a picture waits or is being written."""
        return self._settled < self._submitted

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was submitted is settled; return whether the newest reached every file in time."""
        with self._changed:
            wanted = self._submitted
            self._changed.wait_for(lambda: self._settled >= wanted, timeout_s)
            return self._succeeded >= wanted

    def close(self, timeout_s: float) -> bool:
        """Write what waits and end the thread; return whether the newest picture was written. Harmless twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer.ident is not None:
            self._writer.join(timeout_s)
        return self._succeeded >= self._submitted

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None or self._closing)
                if self._next is None:
                    return
                (core, windows), number = self._next, self._submitted
                self._next = None
            succeeded = self._write(core, windows)
            with self._changed:
                self._settled = number
                self._succeeded = number if succeeded else self._succeeded
                self._changed.notify_all()

    def _write(self, core: bytes, windows: Windows) -> bool:
        try:
            document = assemble(core, windows)
            write_atomic(self._durable, document)
            self._written += 1
            if self._on_durable is not None:
                self._on_durable(document)
            for copy in self._copies:
                copy.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(copy, document, durable=False)
        except Exception as error:  # noqa: BLE001  supervision border: told, and tried again with the next picture
            words = reason(error) if isinstance(error, OSError) else str(error)
            self._log.emit("system", "ERROR", "STATE_PERSIST_ERROR", f"State not written: {words}", cause=words)
            return False
        self._log.emit(
            "system",
            "INFO",
            "STATE_PERSISTED_PERIODIC",
            "State written",
            bytes=len(document),
            symbols=len(windows),
            path=str(self._durable),
        )
        return True


def assemble(core: bytes, windows: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the checkpoint's document of its pieces. Raises ValueError where `core` is no JSON object."""
    inner = core.strip()
    if not (inner.startswith(b"{") and inner.endswith(b"}")):
        raise ValueError("the checkpoint's core is not a JSON object")
    inner = inner[1:-1].strip()
    pieces = b",".join(msgspec.json.encode(symbol) + b":" + body for symbol, body in windows)
    rest = (inner + b"," if inner else b"") + b'"windows":{' + pieces + b"}}\n"
    return _head(rest) + rest


def _head(rest: bytes) -> bytes:
    """Return how a document begins: its schema, and the check sum of all that follows."""
    return b'{"schema":%d,"crc32":"%08x",' % (SCHEMA, crc32(rest))


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint's document, None where there is no file.

    Raises StorageFailed naming the file and why: unreadable, not whole, of another schema, or not as it was written.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"{path}: the checkpoint cannot be read ({reason(error)})") from error
    return parse_checkpoint(data, f"{path}: the checkpoint")


def parse_checkpoint(data: bytes, name: str) -> dict[str, Any]:
    """Return the document that `assemble` made. Raises StorageFailed that begins with `name` where it is none."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageFailed(f"{name} is damaged ({error})") from error
    if not isinstance(document, dict):
        raise StorageFailed(f"{name} is damaged (not an object)")
    schema = document.get("schema")
    if schema != SCHEMA:
        kind = NewerVersion if type(schema) is int and schema > SCHEMA else StorageFailed
        raise kind(f"{name} is of schema {document.get('schema', 'none')}, this version reads schema {SCHEMA}")
    if type(document.get("seq")) is not int or not isinstance(document.get("windows"), dict):
        raise StorageFailed(f"{name} is damaged (`seq` or `windows` is missing)")
    if not data.startswith(_head(data[len(_head(b"")) :])):
        raise StorageFailed(f"{name} is damaged (it is not as it was written: its check sum differs)")
    del document["crc32"]
    return document
