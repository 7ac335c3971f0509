"""Renders the console's templates: each page with the navigation, and with how far the index is behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from paynotify.ops.common.amounts import money_text
from paynotify.ops.console.access.form_tokens import form_token
from paynotify.ops.console.grafana import dashboard_url
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.links import order_path, payment_path
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.money import Money
from paynotify.schemas.times import rfc3339_of

#: The topics are read twice per second, and a read that hangs is given up after 30 s.
_OLD_SECONDS: Final = 60.0
_FOLDER: Final = Path(__file__).resolve().parent / "templates"


class PageRenderer:
    """Makes pages. ``age`` tells how far the index is behind; ``navigation`` is set once all routes are known."""

    def __init__(self, age: Callable[[], IndexAge], grafana_url: str = "") -> None:
        self._age = age
        self._grafana_url = grafana_url
        self.navigation: tuple[ConsoleRoute, ...] = ()
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # a page must not mix files of two releases
        )
        self._templates.globals |= {"payment_path": payment_path, "order_path": order_path}
        self._templates.filters["amount"] = amount_text
        self._templates.filters["row_amount"] = lambda row: amount_text(Money(row["amount"], row["currency"]))

    def page(self, request: Request, template: str, *, status_code: int = 200, **values: Any) -> Response:
        """A page for the one who asks. The navigation has what the role reaches; ``form_token()`` is for its forms."""
        age = self._age()
        identity = getattr(request.state, "identity", None)
        shown = [one for one in self.navigation if identity is not None and (not one.role or identity.may(one.role))]
        text = self._templates.get_template(template).render(
            age=age,
            is_old=time.time() - age.seen_at > _OLD_SECONDS,
            seen=rfc3339_of(age.seen_at) if age.seen_at else "",
            identity=identity,
            navigation=shown,
            path=request.url.path,
            dashboard=dashboard_url(self._grafana_url, request.url.path),
            address=f"{request.url.path}?{request.url.query}",
            form_token=partial(form_token, request),
            **values,
        )
        return HTMLResponse(text, status_code)

    def fragment(self, template: str, **values: Any) -> str:
        """A part of a page, for a page that is open."""
        return self._templates.get_template(template).render(**values)


def amount_text(amount: Money | None) -> str:
    """An amount with its decimals, such as ``10.50 GBP``."""
    return "" if amount is None else money_text(amount)
