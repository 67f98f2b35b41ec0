"""Would the matrix notice a broken promise? Each of these breaks one on purpose, in a forked bot; asked by tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MUTATIONS: Final[dict[str, Callable[[], None]]] = {}
