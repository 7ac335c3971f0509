"""From a user's name and groups to the roles that the configuration gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, IdentityKind, Role
from paynotify.schemas.configuration.console_access import USER_NAME, RoleGrant

_NAME: Final = re.compile(USER_NAME)


class GrantedRoles:
    """The configuration's grants."""

    def __init__(self, grants: Sequence[RoleGrant]) -> None:
        self._grants = grants
        self._groups = frozenset(group for one in grants for group in one.groups)

    def relevant(self, groups: Iterable[str]) -> list[str]:
        """Of the groups those that a grant names: a session keeps no others."""
        return sorted(self._groups.intersection(groups))

    def identity(self, name: str, kind: IdentityKind, groups: Iterable[str] = ()) -> Identity | None:
        """The user with the roles of the name and of the groups; None if that is no name."""
        return Identity(name, kind, self._roles(name, frozenset(groups))) if _NAME.match(name) else None

    def _roles(self, name: str, groups: frozenset[str]) -> Mapping[str, Role]:
        roles: dict[str, Role] = {}
        for grant in self._grants:
            if name in grant.users or not groups.isdisjoint(grant.groups):
                role = Role[grant.role.upper()]
                for merchant in grant.merchants or (EVERY_MERCHANT,):
                    roles[merchant] = max(roles.get(merchant, role), role)
        return roles
