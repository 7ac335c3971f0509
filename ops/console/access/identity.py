"""Who sends a request: a name, how it is known, and the role with each merchant."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import HTTPConnection

#: Stands for all merchants in `Identity.roles`.
EVERY_MERCHANT: Final = "*"

#: How a name is known: nobody checked it, a proxy's header, a password, or an OpenID Connect issuer.
IdentityKind = Literal["local", "proxy", "basic", "oidc"]


class Role(enum.IntEnum):
    """What somebody may do. A greater role may do all that a lesser one may."""

    VIEWER = 1
    OPERATOR = 2
    CASHIER = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """One who is known. ``roles`` are by merchant; `EVERY_MERCHANT` stands for all."""

    name: str
    kind: IdentityKind
    roles: Mapping[str, Role]

    def may(self, role: Role, merchant: str | None = None) -> bool:
        """Whether the role is given: with that merchant, or with any if none is named."""
        if merchant is None:
            return any(one >= role for one in self.roles.values())
        return max(self.roles.get(merchant, 0), self.roles.get(EVERY_MERCHANT, 0)) >= role

    def merchants(self, role: Role) -> frozenset[str] | None:
        """The merchants with which the role is given; None for all, those of the future too."""
        if self.roles.get(EVERY_MERCHANT, 0) >= role:
            return None
        return frozenset(merchant for merchant, one in self.roles.items() if one >= role)


def identity_of(request: HTTPConnection) -> Identity:
    """Who sends the request. The routes' guard has put it there."""
    found: Identity = request.state.identity
    return found
