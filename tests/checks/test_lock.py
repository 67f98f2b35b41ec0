"""Does the lock's check see each way in which a lock goes wrong?"""

from __future__ import annotations

import pytest

from tests.checks.lock import lock_faults, tracked_faults

PROJECT = """
[build-system]
requires = ["hatchling==1.27.0"]
[project]
dependencies = ["msgspec>=0.19"]
[project.optional-dependencies]
parquet = ["pyarrow>=18"]
[dependency-groups]
dev = ["typing_extensions>=4"]
"""
HASH = " \\\n    --hash=sha256:13b2beaad985e05e2d6407ee4c4f35590b11f8d693a258a561055cac8f64cab7\n"
PINS = ["hatchling==1.27.0", "msgspec==0.22.0", "pyarrow==26.0.1", "typing-extensions==4.16.0 ; python_version < '4'"]
LOCK = "".join(pin + HASH for pin in PINS)


def test_a_sound_lock_has_no_fault() -> None:
    assert lock_faults(LOCK, PROJECT) == []


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (LOCK + "--find-links /somewhere\n", "requirements.lock:9: an address: --find-links /somewhere"),
        (LOCK + "x @ https://127.0.0.1/x.whl" + HASH, "requirements.lock:9: an address: x @ https://127.0.0.1/x.whl"),
        (LOCK + "-e .\n", "requirements.lock: not pinned with ==: -e ."),
        (LOCK + "x>=1" + HASH, "requirements.lock: not pinned with ==: x>=1"),
        (LOCK + "x==1\n", "requirements.lock: no hash: x"),
        (LOCK.replace("msgspec==0.22.0", "msgspec==0.18.0"), "requirements.lock: msgspec==0.18.0 is not msgspec>=0.19"),
        (LOCK.replace("pyarrow", "pyarrows"), "requirements.lock: lacks pyarrow>=18 of pyproject.toml"),
        (LOCK.replace("hatchling==1.27.0", "hatchling==1.28.0"), "hatchling==1.28.0 is not hatchling==1.27.0"),
    ],
)
def test_a_fault_is_named(lock: str, fault: str) -> None:
    assert any(fault in line for line in lock_faults(lock, PROJECT)), lock_faults(lock, PROJECT)


def test_only_the_lock_without_addresses_is_committed() -> None:
    faults = tracked_faults(["requirements.lock", "uv.lock", "docs/pylock.md", "sub/pylock.dev.toml"])
    assert [fault.split(":")[0] for fault in faults] == ["uv.lock", "docs/pylock.md", "sub/pylock.dev.toml"]
