"""Odoo's JSON-2 API (Odoo 19): one call, one transaction. Free to copy."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30


class OdooError(Exception):
    """Odoo refused a call, or did not answer; with its own words."""


@dataclass(frozen=True)
class Odoo:
    """A database of Odoo, and the key of a user of its own."""

    url: str
    api_key: str
    database: str

    def call(self, model: str, method: str, **arguments: Any) -> Any:
        """What the method returned.

        Raises:
            OdooError: it can't be known whether the method did its work, or it did not.
        """
        headers = {
            "Authorization": f"bearer {self.api_key}",
            "Content-Type": "application/json; charset=utf-8",
            "X-Odoo-Database": self.database,
            "User-Agent": "paynotify-example",
        }
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(  # noqa: S310  # the URL is the operator's
            f"{self.url}/json/2/{model}/{method}", body, headers
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise OdooError(f"{model}.{method}: {error.code} {_message(error.read())}") from None
        except (OSError, ValueError) as error:
            raise OdooError(f"{model}.{method}: {error}") from None


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "without a message"
