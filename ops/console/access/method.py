"""The way users are known, as the configuration says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from paynotify.ops.console.access.basic_access import BasicAccess
from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.guard import Identify, local_user
from paynotify.ops.console.access.origins import OwnOrigins
from paynotify.ops.console.access.proxy_access import ProxyAccess
from paynotify.ops.console.access.site import ConsoleSite
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import ConfigurationError

_LEAST_KEY_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class AccessMethod:
    """Who a request is from, where the console is reached, and the routes for signing in and out."""

    identify: Identify
    site: ConsoleSite
    routes: tuple[ConsoleRoute, ...] = ()


def access_method(settings: ConsoleSettings, renderer: PageRenderer, *, is_loopback: bool) -> AccessMethod:
    """As configured. ``is_loopback`` says that it listens on this machine's own addresses only.

    Raises:
        ConfigurationError: a secret, a user or an authority can't be used.
    """
    access = settings.access
    origins = OwnOrigins(settings.public_urls)
    site = ConsoleSite(origins=origins, is_secure=_browsers_use_tls(settings, is_loopback))
    roles = GrantedRoles(access.grants)
    if access.oidc is not None:
        from paynotify.ops.console.access.oidc_access import OidcAccess  # Authlib takes a moment to import

        by_issuer = OidcAccess(access.oidc, roles, origins, renderer)
        site = replace(site, session_seconds=round(access.oidc.session_seconds))
        if access.oidc.session_key is not None:
            site = replace(site, session_key=_session_key(access.oidc.session_key))
        return AccessMethod(by_issuer.identify, site, by_issuer.routes())
    if access.basic is not None:
        return AccessMethod(BasicAccess(access.basic, roles).identify, site)
    if access.proxy is not None:
        return AccessMethod(ProxyAccess(access.proxy, roles).identify, site)
    return AccessMethod(local_user, site)


def _browsers_use_tls(settings: ConsoleSettings, is_loopback: bool) -> bool:
    """A sandbox may have public URLs without; on this machine's own addresses there is nobody to listen."""
    if settings.public_urls:
        return any(one.startswith("https:") for one in settings.public_urls)
    return settings.tls_certfile is not None or not is_loopback


def _session_key(reference: SecretRef) -> str:
    key = Secret(reference).reveal()
    if len(key) < _LEAST_KEY_CHARACTERS:
        raise ConfigurationError(
            f"console.access.oidc.session_key must be at least {_LEAST_KEY_CHARACTERS} characters, got {len(key)}."
        )
    return key
