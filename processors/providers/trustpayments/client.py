"""One TRANSACTIONQUERY of Trust Payments' web services: request, credentials, and whether the response is to it.

Sources: the vendor's pages on transaction queries and error codes, and its Python client 1.0.26.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.http import basic_authorization, exchange
from paynotify.processors.providers.trustpayments.codes import FIELD_ERROR, STOP_QUERY
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import TransactionQuery, gateway_text, read_response
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError

#: The official client's alphabet of request references.
_REQUEST_ALPHABET: Final = "0123456789abcdefghjkmnpqrtuvwxy"


class RefusedValueError(ProviderRefusedError):
    """The gateway refuses the whole query because of one of the values it asks for."""


async def query(
    wanted: Mapping[str, Sequence[str]], account: Account[TrustPaymentsMerchant], context: CallContext
) -> tuple[ProviderResponse, TransactionQuery]:
    """One query for the site's records that have, in each field of ``wanted``, any of its values.

    Raises:
        RefusedValueError: one of the values is refused, and all others with it.
        ProviderRefusedError: the credentials are not accepted, or the query fails again until a person changes
            something.
        ProviderUnavailableError: the response is not a successful one to this very query.
    """
    merchant = account.merchant
    reference = "A" + "".join(secrets.choice(_REQUEST_ALPHABET) for _ in range(8))
    question = {
        "alias": merchant.username,
        "version": "1.00",
        "request": [
            {
                "requestreference": reference,
                "requesttypedescriptions": ["TRANSACTIONQUERY"],
                "filter": {
                    "sitereference": [{"value": merchant.site_reference}],
                    **{field: [{"value": value} for value in values] for field, values in wanted.items()},
                },
            }
        ],
    }
    headers = {
        "Authorization": basic_authorization(merchant.username, account, merchant.password),
        "Content-Type": "application/json;charset=utf-8",
    }
    content = json.dumps(question).encode()
    response = await exchange(context, "POST", merchant.webservices_url, headers=headers, content=content)
    if response.http_status in (401, 403):
        raise ProviderRefusedError("credentials", "the Web Services user, its password or this address is not accepted")
    if response.http_status == 400:
        raise ProviderRefusedError("refused", "the query is refused (HTTP 400)")
    if response.http_status != 200:
        raise ProviderUnavailableError(f"HTTP {response.http_status}")
    return response, _query_in(response.body, reference, wanted)


def within(start: datetime, end: datetime) -> dict[str, list[str]]:
    """The part of a filter that selects the requests of a period."""
    return {"starttimestamp": [gateway_text(start)], "endtimestamp": [gateway_text(end)]}


def _query_in(body: bytes, reference: str, wanted: Iterable[str]) -> TransactionQuery:
    response = read_response(body, lambda problem: ProviderUnavailableError(f"the response {problem}"))
    query = response.query
    if query is None or response.requestreference != reference:
        raise ProviderUnavailableError("the response is not to this query")
    errorcode = query.errorcode
    if errorcode == FIELD_ERROR and _names(query, wanted):
        raise RefusedValueError("refused", "the gateway refuses a value of the query (errorcode 30000)")
    if errorcode in STOP_QUERY:
        raise ProviderRefusedError("refused", f"the query is refused with errorcode {errorcode}")
    if errorcode != "0":
        raise ProviderUnavailableError("the query failed")
    return query


def _names(query: TransactionQuery, wanted: Iterable[str]) -> bool:
    """Whether an error is about a field that the query filters by: its name is in ``errordata`` or ``data``."""
    named = [query.errordata, query.data]
    texts = [one for value in named for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    return any(field in text for field in wanted for text in texts)
