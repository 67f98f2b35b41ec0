"""Does a bot as it comes listen to anything but its control door?"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.integration.processes import Bot, write_profile

KINDS = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "sctp", "packet", "netlink", "vsock")


def inodes(pid: int) -> set[str]:
    """Return the inodes of all sockets of a process."""
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(handle)
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def test_nothing_listens_by_default_but_the_control_door(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        own, net = inodes(bot.process.pid), Path(f"/proc/{bot.process.pid}/net")
        reached = [kind for kind in KINDS if (net / kind).exists() and own & set((net / kind).read_text().split())]
        assert reached == []
        unix = [line.split() for line in (net / "unix").read_text().splitlines()[1:]]
        listening = [fields for fields in unix if fields[6] in own and int(fields[3], 16) & 0x10000]
        assert len(listening) == 1, "a socket that accepts"
        (home,) = (tmp_path / "state").iterdir()
        assert (home / "control.sock").is_socket()
        bot.send(signal.SIGTERM)
        assert bot.end() == 0
