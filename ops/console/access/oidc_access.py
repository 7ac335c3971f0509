"""Users are known by a session that they have begun at an OpenID Connect issuer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from paynotify.ops.console.access.browser_session import BrowserSessions, SignedInUser
from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.identity import Identity
from paynotify.ops.console.access.oidc_issuer import OidcIssuer, SignInError
from paynotify.ops.console.access.origins import OwnOrigins
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.console_access import SignInSettings
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

_SIGN_IN: Final = "/sign-in"
_DONE: Final = "/sign-in/done"
_SIGN_OUT: Final = "/sign-out"
_SIGNED_OUT: Final = "/signed-out"
_NEXT: Final = "next"
_MAX_NEXT_CHARACTERS: Final = 500


class OidcAccess:
    """Identifies users by their sessions, and has the routes that begin and end these.

    Raises:
        ConfigurationError: the issuer's authorities can't be used.
        SecretError: the client's secret can't be read.
    """

    def __init__(
        self, settings: SignInSettings, roles: GrantedRoles, origins: OwnOrigins, renderer: PageRenderer
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._origins = origins
        self._renderer = renderer
        self._issuer = OidcIssuer(settings)
        self._sessions = BrowserSessions(settings.session_seconds)

    def routes(self) -> tuple[ConsoleRoute, ...]:
        """Those of signing in and out, which everybody reaches."""
        return (
            ConsoleRoute(_SIGN_IN, self.sign_in, None),
            ConsoleRoute(_DONE, self.done, None),
            ConsoleRoute(_SIGN_OUT, self.sign_out, None, methods=("POST",)),
            ConsoleRoute(_SIGNED_OUT, self.signed_out, None),
        )

    async def identify(self, connection: HTTPConnection) -> Identity | None:
        """Who is signed in.

        Raises:
            HTTPException: nobody is. A browser that asks for a page is led to the issuer (303).
        """
        user = self._sessions.user(connection.session)
        if user is not None:
            return self._roles.identity(user.name, "oidc", user.groups)
        if _asks_for_page(connection):
            wanted = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
            raise HTTPException(303, "Sign in.", {"location": f"{_SIGN_IN}?{_NEXT}={quote(wanted, safe='/')}"})
        raise HTTPException(401, "Sign in to use the console.")

    async def sign_in(self, request: Request) -> Response:
        """Lead the browser to the issuer."""
        request.session[_NEXT] = own_path(request.query_params.get(_NEXT, "/"))
        back = self._origins.base_url(request.url.scheme, request.headers.get("host", "")) + _DONE
        try:
            return await self._issuer.redirect(request, back)
        except SignInError as error:
            event(logger, "issuer_not_reached", level=logging.WARNING, error=str(error))
            raise HTTPException(503, "The issuer, at which users sign in, can't be reached. Try again.") from None

    async def done(self, request: Request) -> Response:
        """Begin the session of the user who comes back from the issuer."""
        wanted = own_path(request.session.get(_NEXT, "/"))
        try:
            user = self._user(await self._issuer.claims(request))
        except SignInError as error:
            event(logger, "sign_in_refused", level=logging.WARNING, known_by="oidc", error=str(error))
            raise HTTPException(403, "You are not signed in. Begin at the console's first page.") from None
        self._sessions.begin(request.session, user)
        event(logger, "signed_in", who=user.name, known_by="oidc")
        return RedirectResponse(wanted, 303)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        self._sessions.end(request.session)
        return RedirectResponse(_SIGNED_OUT, 303)

    async def signed_out(self, request: Request) -> Response:
        """Say that it has ended."""
        return self._renderer.page(request, "signed_out.html", sign_in=_SIGN_IN)

    def _user(self, claims: Mapping[str, Any]) -> SignedInUser:
        settings = self._settings
        name = claims.get(settings.name_claim)
        if settings.name_claim == "email" and claims.get("email_verified") is not True:
            raise SignInError("EmailNotVerified")
        if not isinstance(name, str) or self._roles.identity(name, "oidc") is None:
            raise SignInError("NoName")
        groups = claims.get(settings.groups_claim) or []
        listed = [groups] if isinstance(groups, str) else [one for one in groups if isinstance(one, str)]
        return SignedInUser(name, tuple(self._roles.relevant(listed)))


def own_path(text: str) -> str:
    """The path if it is one of the console's own, else its first page: no link leads elsewhere by signing in."""
    is_own = text.startswith("/") and text[1:2] not in ("/", "\\") and text.isprintable()
    return text if is_own and len(text) <= _MAX_NEXT_CHARACTERS else "/"


def _asks_for_page(connection: HTTPConnection) -> bool:
    is_page = "text/html" in connection.headers.get("accept", "") and "hx-request" not in connection.headers
    return connection.scope["method"] == "GET" and is_page
