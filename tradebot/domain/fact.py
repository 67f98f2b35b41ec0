"""What is a fact made of? Its base and what each declares; asked by the catalogue and everyone who tells facts."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

Stream = Literal["events", "system", "engine", "orders"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Fact(Struct, frozen=True, tag_field="fact", tag=True):
    """Base of every fact."""

    event_type: ClassVar[str] = ""
    level: ClassVar[Level] = "INFO"
    stream: ClassVar[Stream] = "engine"
    metric: ClassVar[str] = ""
