"""The console's access in the configuration: what is refused, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import ConfigurationError
from tests.fakes import configurations

GRANTS: list[dict[str, Any]] = [
    {"groups": ["finance"], "role": "viewer", "merchants": ["shop-uk"]},
    {"users": ["ops"], "role": "cashier"},
]
PROXY: dict[str, Any] = {"kind": "proxy", "proxy": {"trusted_proxies": ["10.0.0.0/8"]}, "grants": GRANTS}
BASIC: dict[str, Any] = {"kind": "basic", "basic": {"users": {"file": "/run/users"}}, "grants": GRANTS}
ISSUER: dict[str, Any] = {"issuer": "https://id.example", "client_id": "console", "client_secret": {"env": "SECRET"}}
OIDC: dict[str, Any] = {"kind": "oidc", "oidc": ISSUER, "grants": GRANTS}


def text(access: dict[str, Any], *, sandbox: bool = True, **more: Any) -> str:
    document = configurations.document("kafka:9092", "", Path("/tmp"), console={"access": access, **more})
    if not sandbox:
        document["sandbox"] = False
        document["merchants"] = [
            {**document["merchants"][2], "api_key": {"env": "K"}, "base_url": "https://gw.example"}
        ]
        access["grants"] = GRANTS[1:]
    return yaml.safe_dump(document)


@pytest.mark.parametrize("access", [PROXY, BASIC, OIDC], ids=lambda one: str(one["kind"]))
def test_each_kind_has_its_section_and_grants(access: dict[str, Any]) -> None:
    found = parse(text(access), "paynotify.yaml").console.access
    assert found.kind == access["kind"]
    assert [one.role for one in found.grants] == ["viewer", "cashier"]


def test_nobody_is_known_by_default() -> None:
    assert parse(text({}), "paynotify.yaml").console.access.kind == "none"


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ({"kind": "proxy", "grants": GRANTS}, "kind proxy needs proxy of the sections"),
        ({**PROXY, "basic": BASIC["basic"]}, "kind proxy needs proxy of the sections"),
        ({"kind": "none", "oidc": ISSUER}, "kind none needs none of the sections"),
        ({**PROXY, "grants": []}, "the other kinds need some"),
        ({"grants": GRANTS}, "kind none takes no grants"),
        ({**PROXY, "grants": [{"role": "viewer"}]}, "a grant names users or groups"),
        ({**PROXY, "grants": [{"users": ["a"], "role": "admin"}]}, "role"),
        ({**PROXY, "grants": [{"users": ["a:b"], "role": "viewer"}]}, "users"),
        ({**PROXY, "grants": [{"groups": ["a,b"], "role": "viewer"}]}, "groups"),
        ({**PROXY, "grants": [{"groups": [" a"], "role": "viewer"}]}, "groups"),
        ({**PROXY, "grants": [{**GRANTS[0], "merchants": ["shop-xx"]}]}, "is not a merchant's id"),
        ({**PROXY, "proxy": {"trusted_proxies": []}}, "trusted_proxies"),
        ({**PROXY, "proxy": {"trusted_proxies": ["0.0.0.0/0"]}}, "would believe every caller"),
        ({**PROXY, "proxy": {"trusted_proxies": ["::/0"]}}, "would believe every caller"),
        ({**PROXY, "proxy": {"trusted_proxies": ["10.0.0.1/8"]}}, "is not a network"),
        ({**PROXY, "proxy": {"trusted_proxies": ["10.0.0.1"], "user_header": "X User"}}, "user_header"),
        ({**OIDC, "oidc": {**ISSUER, "scopes": ["profile"]}}, "scopes must have openid"),
        ({**OIDC, "oidc": {**ISSUER, "issuer": "https://id.example/?a=b"}}, "is not a base URL"),
        ({**OIDC, "oidc": {**ISSUER, "session_seconds": 1e9}}, "session_seconds"),
    ],
)
def test_wrong_access_is_refused(access: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse(text(access), "paynotify.yaml")


def test_browsers_and_issuers_need_tls_outside_of_a_sandbox() -> None:
    assert parse(text({**OIDC}, sandbox=False), "paynotify.yaml").console.access.oidc is not None
    with pytest.raises(ConfigurationError, match=r"issuer.*is not an https URL"):
        parse(text({**OIDC, "oidc": {**ISSUER, "issuer": "http://id.example"}}, sandbox=False), "paynotify.yaml")
    with pytest.raises(ConfigurationError, match=r"public_urls.*is not an https URL"):
        parse(text({**OIDC}, sandbox=False, public_urls=["http://console.example"]), "paynotify.yaml")


@pytest.mark.parametrize(
    "url", ["https://console.example/", "https://console.example/pay", "console.example", "https://"]
)
def test_public_url_has_no_path(url: str) -> None:
    with pytest.raises(ConfigurationError, match="public_urls"):
        parse(text({}, public_urls=[url]), "paynotify.yaml")


def test_key_of_a_certificate_needs_the_certificate() -> None:
    with pytest.raises(ConfigurationError, match="tls_keyfile needs tls_certfile"):
        parse(text({}, tls_keyfile="/run/key"), "paynotify.yaml")
