"""The secret token in a merchant's notification URL, verified from its stored digest."""

from __future__ import annotations

import hmac
from typing import Any

from paynotify.processors.providers.account import Account
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.routes import token_digest


def check_url_token(digest: str, account: Account[Any]) -> None:
    """Compare the digest of the URL's token with that of each token that is valid now.

    Raises:
        RejectedNotificationError: the merchant has tokens, and the URL had none (``missing_signature``) or another
            (``bad_signature``).
    """
    tokens = account.merchant.url_tokens
    if not tokens:
        return
    if not digest:
        raise RejectedNotificationError("missing_signature", "the URL has no token, but the merchant requires one")
    given = digest.encode()
    # all of them are compared, so that the time taken does not tell which one matched
    matches = [
        hmac.compare_digest(token_digest(token.encode()).encode(), given) for token in account.reveal_all(tokens)
    ]
    if not any(matches):
        raise RejectedNotificationError("bad_signature", "the URL's token is not one of the merchant's")
