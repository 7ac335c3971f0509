"""Consumer groups as the brokers keep them: members, generations, committed offsets.

A rebalance asks every member to put its work down and join again; who doesn't within the time allowed, or has not been
heard of for a session, is out. Nobody tells a process that stands still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Final, Protocol

from tests.simulation.broker import Broker, Place
from tests.simulation.history import History
from tests.simulation.timeline import Timeline

#: How long after the last sign of life a group puts a member out.
SESSION_SECONDS: Final = 10.0
#: How long a rebalance waits for members that are alive and still at work.
_JOIN_SECONDS: Final = 30.0


class Member(Protocol):
    """One process's part in one group."""

    number: int

    def ask_to_join(self, round_number: int) -> None:
        """Finish what is at work and join the next generation."""

    def assign(self, generation: int, places: Sequence[Place]) -> None:
        """The next generation has begun."""


class Group:
    """One unit's group. With ``static`` membership, a process that starts again takes over its own partitions."""

    def __init__(
        self,
        name: str,
        sources: Iterable[str],
        broker: Broker,
        loop: Timeline,
        chance: Random,
        history: History,
        *,
        static: bool,
    ) -> None:
        self.name = name
        self.generation = 0
        self.static = static
        self.committed: dict[Place, int] = {}
        self.places = [(topic, number) for topic in sources for number in range(broker.partitions(topic))]
        self._broker = broker
        self._loop = loop
        self._chance = chance
        self._history = history
        self._members: dict[int, Member] = {}
        self._joined: dict[int, Member] = {}
        self._shares: dict[int, list[Place]] = {}
        self._round = 0
        self._settled = True

    def has(self, member: Member) -> bool:
        return self._members.get(member.number) is member

    def join(self, member: Member) -> None:
        """A new member, or one that has put its work down."""
        new = not self.has(member)
        if new and self.static and self._settled and member.number in self._members:
            # known by its name: it has what the one before it had, and nobody else hears of it
            self._history.happened("replaced", f"{self.name} {member.number}")
            self._members[member.number] = member
            member.assign(self.generation, self._shares[member.number])
            return
        self._members[member.number] = member
        if new or self._settled:
            self._begin()
        self._joined[member.number] = member
        self._complete()

    def leave(self, member: Member) -> None:
        """A member is out: gone, or not heard of for too long."""
        if not self.has(member):
            return
        del self._members[member.number]
        self._history.happened("out", f"{self.name} {member.number}")
        self._joined.pop(member.number, None)
        if self._settled:
            self._begin()
        self._complete()

    def rebalance(self) -> None:
        """Somebody changed something: all join again."""
        if self._settled and self._members:
            self._begin()

    def commit(self, member: Member, generation: int, offsets: Mapping[Place, int]) -> bool:
        """Take over what a member of the present generation has done."""
        if not self.has(member) or generation != self.generation:
            return False
        self.committed.update(offsets)
        return True

    def lag(self) -> int:
        """How many records are not committed."""
        return sum(len(self._broker.log(place)) - self.committed.get(place, 0) for place in self.places)

    def _begin(self) -> None:
        self._round += 1
        self._settled = False
        self._joined.clear()
        for member in self._members.values():
            member.ask_to_join(self._round)
        self._loop.call_without_process(_JOIN_SECONDS, self._too_late, self._round)

    def _too_late(self, round_number: int) -> None:
        if self._settled or round_number != self._round:
            return
        for number in [number for number in self._members if number not in self._joined]:
            self._history.happened("late", f"{self.name} {number}")
            del self._members[number]
        self._complete()

    def _complete(self) -> None:
        if self._settled or not self._members or len(self._joined) < len(self._members):
            return
        self._settled = True
        self.generation += 1
        members = list(self._members.values())
        self._chance.shuffle(members)
        shares: dict[int, list[Place]] = {member.number: [] for member in members}
        # partitions of one number stay together, as they share a state
        for place in self.places:
            shares[members[place[1] % len(members)].number].append(place)
        self._shares = shares
        self._history.happened("generation", f"{self.name} {self.generation} {sorted(shares.items())}")
        for member in members:
            member.assign(self.generation, shares[member.number])
