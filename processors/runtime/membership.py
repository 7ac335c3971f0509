"""This process's membership in a stage's consumer group, as far as the runtime needs it."""

from __future__ import annotations

from typing import Protocol


class Membership(Protocol):
    """Whether this process is still a member of the group, and in which generation."""

    @property
    def generation(self) -> int:
        """The group's generation in which this process was last assigned partitions."""

    @property
    def confirmed(self) -> bool:
        """Whether the group has confirmed the membership so recently that it cannot have moved on."""

    @property
    def stopping(self) -> bool:
        """Whether the stage is shutting down."""
