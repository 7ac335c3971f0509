"""The ``console.access`` section of the configuration: how users of the console are known, and what each may do."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from paynotify.schemas.configuration.merchants import MerchantId
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Network, Section

#: It stands in logs and in the operators' log.
USER_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z"
UserName: TypeAlias = Annotated[str, Meta(pattern=USER_NAME)]
#: Commas separate groups in a proxy's header.
GroupOfUsers: TypeAlias = Annotated[
    str, Meta(pattern=r"^[^\x00-\x20,\x7f]([^\x00-\x1f,\x7f]{0,198}[^\x00-\x20,\x7f])?\Z")
]
HeaderName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}\Z")]
ClaimName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_:/.-]{1,200}\Z")]
#: How users are known.
AccessKind: TypeAlias = Literal["none", "proxy", "basic", "oidc"]


class RoleGrant(Section, frozen=True, kw_only=True):
    """A role for some users and groups. Who has several roles with a merchant has the greatest of them."""

    users: tuple[UserName, ...] = ()
    """Names of users."""
    groups: tuple[GroupOfUsers, ...] = ()
    """Groups of users, as the proxy or the issuer names them."""
    role: Literal["viewer", "operator", "cashier"]
    """`viewer` sees, `operator` may also replay, look up again, correct and mend, `cashier` may also move money."""
    merchants: tuple[MerchantId, ...] = ()
    """Only with these merchants (default: with all)."""

    def __post_init__(self) -> None:
        if not self.users and not self.groups:
            raise ValueError("a grant names users or groups")


class ProxyUserSettings(Section, frozen=True, kw_only=True):
    """A proxy in front signs users in and names them in headers, such as oauth2-proxy.

    The proxy must remove these headers from what browsers send.
    """

    trusted_proxies: Annotated[tuple[Network, ...], Meta(min_length=1)]
    """Networks (CIDR) of the proxies that are believed. Requests from all other addresses are refused."""
    user_header: HeaderName = "X-Forwarded-User"
    """The header with the user's name."""
    groups_header: HeaderName = "X-Forwarded-Groups"
    """The header with the user's groups, separated by commas."""


class PasswordSettings(Section, frozen=True, kw_only=True):
    """Users sign in with passwords that the console itself knows (HTTP's Basic authentication, with TLS only)."""

    users: SecretRef
    """One line `NAME:HASH` for each user; `paynotify console --hash-password` makes the hash. A changed file is used
    without a restart."""


class SignInSettings(Section, frozen=True, kw_only=True):
    """Users sign in at an OpenID Connect issuer (authorization code with PKCE)."""

    issuer: str
    """The issuer's URL, under which it has `/.well-known/openid-configuration`."""
    client_id: Annotated[str, Meta(min_length=1)]
    """The console's id at the issuer. Its redirect URI there is the console's URL with `/sign-in/done`."""
    client_secret: SecretRef
    """The console's secret at the issuer."""
    scopes: Annotated[tuple[Annotated[str, Meta(pattern=r"^[!#-\[\]-~]+\Z")], ...], Meta(max_length=20)] = (
        "openid",
        "profile",
    )
    """Scopes to ask for, with those that make the issuer tell groups."""
    name_claim: ClaimName = "preferred_username"
    """The claim with the user's name, which no user may choose. With `email` it counts only if the issuer has verified
    it. The name stands in the log and in the operators' log."""
    groups_claim: ClaimName = "groups"
    """The claim with the user's groups."""
    ca_file: str | None = None
    """PEM file of the authorities that the issuer's certificate must be signed by (default: the system's)."""
    session_seconds: Annotated[float, Meta(gt=0, le=604_800)] = 8 * 3600.0
    """After so long a user signs in again."""
    session_key: SecretRef | None = None
    """At least 32 characters that sign the session cookies. Without it each start of the console ends all sessions."""

    def __post_init__(self) -> None:
        if "openid" not in self.scopes:
            raise ValueError("scopes must have openid")


class ConsoleAccessSettings(Section, frozen=True):
    """How users are known, and what each may do."""

    kind: AccessKind = "none"
    """With `none` whoever reaches the console may do all, so it listens on this machine's own addresses only. With the
    others users are known as the section of that name says."""
    proxy: ProxyUserSettings | None = None
    """With kind `proxy`."""
    basic: PasswordSettings | None = None
    """With kind `basic`."""
    oidc: SignInSettings | None = None
    """With kind `oidc`."""
    grants: Annotated[tuple[RoleGrant, ...], Meta(max_length=500)] = ()
    """Who has which role. Users without one see nothing."""

    def __post_init__(self) -> None:
        sections = {"proxy": self.proxy, "basic": self.basic, "oidc": self.oidc}
        given = [kind for kind, section in sections.items() if section is not None]
        wanted = [] if self.kind == "none" else [self.kind]
        if given != wanted:
            raise ValueError(
                f"kind {self.kind} needs {' '.join(wanted) or 'none'} of the sections proxy, basic and oidc"
            )
        if bool(self.grants) != bool(wanted):
            raise ValueError("kind none takes no grants, since nobody is known; the other kinds need some")
