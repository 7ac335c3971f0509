"""One call of the gateway's API, the same for every method: form, credentials, and the User-Agent the vendor wants."""

from __future__ import annotations

import json
import platform
import re
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from processors.providers.base import Account, CallContext
from processors.providers.http import HttpResponse, basic_authorization, exchange
from schemas.configuration.merchants import NevogateMerchant
from schemas.errors import ProviderRefusedError

_HOST: Final = re.compile(r"[^A-Za-z0-9.-]")


async def ask(
    method: str, arguments: Mapping[str, Any], account: Account, outside: CallContext, *, request_id: str = ""
) -> HttpResponse:
    """Call the method; whatever is in the answer, it is the gateway's.

    Raises:
        ProviderRefusedError: it does not let us in.
        ProviderUnreachableError: nothing was sent.
        RateLimitedError, ProviderUnavailableError: as `exchange`.
    """
    merchant = account.merchant
    assert isinstance(merchant, NevogateMerchant)
    caller = _HOST.sub("-", socket.gethostname())
    headers = {
        "Authorization": basic_authorization(merchant.store_name, account.secrets["api_key"][0]),
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"{method} | {caller} | Python | {platform.python_version()}",
        **({"X-Request-Id": request_id} if request_id else {}),
    }
    form = {"method": method, "json": json.dumps(arguments)}
    url = f"{merchant.base_url.rstrip('/')}/api/payment/"
    reply = await exchange(outside, "POST", url, headers=headers, content=urlencode(form).encode())
    if reply.status in (401, 403) and not reply.body.lstrip().startswith(b"{"):
        raise ProviderRefusedError("credentials", f"the gateway does not let us in (HTTP {reply.status})")
    return reply
