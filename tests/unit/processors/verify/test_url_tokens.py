"""The token in a merchant's URL, verified from its digest."""

from typing import Any

import pytest

from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.verify.url_tokens import check_url_token
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.routes import token_digest

CONFIGURATION = """
sandbox: true
merchants:
  - {id: open, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
  - {id: guarded, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example",
     url_tokens: [{value: old}, {value: new}]}
"""


def account(merchant: str) -> Account[Any]:
    return open_account(parse(CONFIGURATION, "test.yaml").merchants_of("nevogate")[merchant])


@pytest.mark.parametrize("token", [b"old", b"new"])
def test_url_token_is_valid_if_listed(token: bytes) -> None:
    check_url_token(token_digest(token), account("guarded"))


@pytest.mark.parametrize(("digest", "reason"), [("", "missing_signature"), (token_digest(b"guess"), "bad_signature")])
def test_url_token_missing_or_wrong_is_rejected(digest: str, reason: str) -> None:
    with pytest.raises(RejectedNotificationError) as rejected:
        check_url_token(digest, account("guarded"))
    assert rejected.value.reason == reason


def test_url_token_is_ignored_for_a_merchant_without_tokens() -> None:
    check_url_token("", account("open"))
    check_url_token(token_digest(b"anything"), account("open"))
