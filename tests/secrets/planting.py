"""Which keys does a test plant, and does any byte of a place hold one? In each spelling, and also in part."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

KEY: Final = "PLANTEDkeyQ7v2Zr9LmX4tBn8Wc5Yd1Kf6Hs3Jg0Pa"
SECRET: Final = "PLANTEDsecret+Tz5/Uq8=Er2Wy6&Io9%Pl3Mn7Bv4Cx1Za0"  # noqa: S105 - it is planted to be found
PASSWORD: Final = "".join(('PLANTED"word\\', "Gh4 Jk8/Lq2+Xs6 é", "Dv0"))

PLANTED: Final[Mapping[str, str]] = {"key": KEY, "secret": SECRET, "password": PASSWORD}

ENVIRON: Final[Mapping[str, str]] = {
    "TRADEBOT_API_KEY": KEY,
    "TRADEBOT_API_SECRET": SECRET,
    "TRADEBOT_API_PASSWORD": PASSWORD,
}

PART: Final = 12
"""So many characters of a key are as good as found: the rest of a truncated text may stand elsewhere."""

_OURS: Final = "PLANTED"


def needles(secret: str) -> dict[str, bytes]:
    """Return what is looked for, by how it is spelt."""
    data = secret.encode()
    spelt = {
        "whole": data,
        "percent": quote(secret, safe="").encode(),
        "percent of a form": quote_plus(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "hex": data.hex().encode(),
        "first characters": secret[:PART].encode(),
        "last characters": secret[-PART:].encode(),
        "middle": secret[PART : 2 * PART].encode(),
    }
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + data)
        spelt[f"base64 after {lead}"] = encoded[4:-4]
        spelt[f"base64 for addresses after {lead}"] = encoded[4:-4].translate(bytes.maketrans(b"+/", b"-_"))
    return spelt


_NEEDLES: Final = {f"{name}: {how}": text for name, one in PLANTED.items() for how, text in needles(one).items()}


def found_in(data: bytes | str) -> list[str]:
    """Return which keys `data` holds and how, each with the text around it."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    found = []
    for name, needle in _NEEDLES.items():
        at = raw.find(needle)
        if at >= 0:
            found.append(f"{name} in {raw[max(0, at - 120) : at + 40]!r}")
    return found


def found_below(folder: Path, *, but: Iterable[Path] = ()) -> dict[str, list[str]]:
    """Return what every file below `folder` holds of the keys, by its path, the files `but` left out; names as well."""
    left_out = {path.resolve() for path in but}
    told: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        found = found_in(str(path.relative_to(folder)))
        if path.is_file() and path.resolve() not in left_out:
            found += found_in(path.read_bytes())
        if found:
            told[str(path)] = found
    return told


def echo() -> str:
    """Return a text in which every key stands in every spelling, as an exchange or a library could say it."""
    return " | ".join(text.decode() for text in _NEEDLES.values())
