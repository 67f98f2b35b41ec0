"""What does the running demo look like? Writes the README's picture from a real run; asked by `task screenshot`."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.checks.terminal import Screen

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 100, 30
RUN_S = 75.0
LONGEST_END_S = 60.0
BEGIN, END = "<!-- status -->\n", "<!-- /status -->\n"


def watch(command: list[str], environment: dict[str, str], run_s: float) -> tuple[str, int]:
    """Run `command` on a terminal of its own, interrupt it after `run_s`; return the screen before that, and its code.

    Raises TimeoutError where it does not end after the interrupt.
    """
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=there, stdout=there, stderr=there, start_new_session=True
    )
    os.close(there)
    try:
        written = _read_until(here, time.monotonic() + run_s)
        process.send_signal(signal.SIGINT)
        _read_until(here, time.monotonic() + LONGEST_END_S)
        code = process.wait(LONGEST_END_S)
    finally:
        process.kill()
        process.wait()
        os.close(here)
    screen = Screen(COLUMNS)
    screen.feed(written)
    return screen.text(), code


def _read_until(terminal: int, end: float) -> str:
    """Return all that is written until `end` (monotonic), or until the other side closes."""
    written = bytearray()
    while (left_s := end - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left_s)[0]:
            break
        try:
            written += os.read(terminal, 65_536)
        except OSError:  # the terminal's way of saying that the other side is gone
            break
    return written.decode("utf-8", "replace")


def main() -> int:
    """Write the picture between the README's marks; return 1 where the demo did not end cleanly."""
    readme = ROOT / "README.md"
    with tempfile.TemporaryDirectory() as place:
        environment = {
            **os.environ,
            "TERM": "xterm",
            "NO_COLOR": "1",
            "TRADEBOT__BOT__STATE_DIR": f"{place}/state",
            "TRADEBOT__SESSIONS__DIR": f"{place}/sessions",
        }
        tradebot = str(Path(sys.executable).with_name("tradebot"))
        picture, code = watch([tradebot, "--profile", "demo"], environment, RUN_S)
    if code != 0 or not picture:
        print(f"the demo ended with {code}; the README stays as it is\n{picture}", file=sys.stderr)
        return 1
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    readme.write_text(f"{head}{BEGIN}```\n{picture}\n```\n{END}{tail}", encoding="utf-8")
    print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
