"""The token in a merchant's URL, judged by verify from its digest."""

import pytest

from processors.providers.base import Account, account_of
from processors.verify.stage import check_url_token
from schemas.configuration.model import parse
from schemas.errors import Rejected
from schemas.routes import token_digest

CONFIGURATION = """
sandbox: true
merchants:
  - {id: open, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
  - {id: guarded, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example",
     url_tokens: [{value: old}, {value: new}]}
"""


def account(merchant: str) -> Account:
    return account_of(parse(CONFIGURATION, "test.yaml").merchants_of("nevogate")[merchant])


@pytest.mark.parametrize("token", [b"old", b"new"])
def test_each_token_that_is_listed_is_valid(token: bytes) -> None:
    check_url_token(token_digest(token), account("guarded"))


@pytest.mark.parametrize(("digest", "reason"), [("", "missing_signature"), (token_digest(b"guess"), "bad_signature")])
def test_a_call_without_the_right_token_is_rejected(digest: str, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        check_url_token(digest, account("guarded"))
    assert rejected.value.reason == reason


def test_a_merchant_without_tokens_takes_every_call() -> None:
    check_url_token("", account("open"))
    check_url_token(token_digest(b"anything"), account("open"))
