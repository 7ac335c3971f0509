"""One call of the gateway's API, the same for every method: form, credentials, and the required User-Agent."""

from __future__ import annotations

import json
import platform
import re
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.http import basic_authorization, exchange
from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.schemas.errors import ProviderRefusedError

#: What follows the method in the User-Agent that the gateway asks for: the caller's host and language.
_CALLER: Final = f"{re.sub('[^A-Za-z0-9.-]', '-', socket.gethostname())} | Python | {platform.python_version()}"

#: Each character of the JSON, which is ASCII, in a form; `quote_plus` takes seven times as long for the whole text.
_QUOTED: Final = str.maketrans({chr(code): quote_plus(chr(code)) for code in range(128)})


async def call(
    method: str,
    arguments: Mapping[str, Any],
    account: Account[NevogateMerchant],
    context: CallContext,
    *,
    request_id: str = "",
) -> ProviderResponse:
    """Call the method; the response is the gateway's own, whatever it says.

    Raises:
        ProviderRefusedError: the gateway does not accept the credentials or the address.
        ProviderUnreachableError: no connection could be opened, so nothing was sent.
        RateLimitedError: the status is 429.
        ProviderUnavailableError: there is no complete response.
    """
    merchant = account.merchant
    headers = {
        "Authorization": basic_authorization(merchant.store_name, account, merchant.api_key),
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"{method} | {_CALLER}",
        **({"X-Request-Id": request_id} if request_id else {}),
    }
    form = f"method={method}&json={json.dumps(arguments).translate(_QUOTED)}"
    url = f"{merchant.base_url.rstrip('/')}/api/payment/"
    response = await exchange(context, "POST", url, headers=headers, content=form.encode())
    if response.http_status in (401, 403) and not response.body.lstrip().startswith(b"{"):
        raise ProviderRefusedError(
            "credentials", f"the gateway refuses the credentials or this address (HTTP {response.http_status})"
        )
    return response
