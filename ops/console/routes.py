"""What a group of pages tells of each of its routes."""

from __future__ import annotations

from dataclasses import dataclass

from paynotify.ops.console.access.guard import Endpoint
from paynotify.ops.console.access.identity import Role


@dataclass(frozen=True, slots=True)
class ConsoleRoute:
    """A path (as Starlette writes it), what answers it, and the least role; None is for everybody.

    ``title`` is its name in the navigation; empty for a page that is not in it.
    """

    path: str
    endpoint: Endpoint
    role: Role | None
    title: str = ""
    methods: tuple[str, ...] = ("GET",)
