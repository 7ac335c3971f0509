"""The pages of the installation: what operators see of it, and that nobody sees a secret or another's merchant."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest
import yaml
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.installation.doctor_runs import DoctorRuns
from paynotify.ops.console.installation.pages import InstallationPages
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.doctor.examination import ExaminationScope, ScopedFinding, examined
from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from tests.fakes import configurations

HOST: Final = "http://127.0.0.1:8090"
MARK: Final = "xyzzy"
DEADLINE_SECONDS: Final = 20.0
FINDINGS: Final = (
    ScopedFinding(Finding("brokers", "ok", "Apache Kafka 4.0")),
    ScopedFinding(Finding("secrets of shop-uk", "error", "password: it is missing", "Write it."), "shop-uk"),
    ScopedFinding(Finding("topics", "warning", "one replica", "Reassign it.")),
    ScopedFinding(Finding("secrets of shop-nl", "ok", "2 readable"), "shop-nl"),
)


def secretive(folder: Path) -> Configuration:
    """An installation with a secret, or what may be one, in each place where a file and the rules allow it."""

    def secret(name: str) -> dict[str, str]:
        file = folder / name
        file.write_text(f"{MARK}-{name}", "utf-8")
        return {"file": str(file)}

    merchants = configurations.merchants()
    for one in merchants:
        one["url_tokens"] = [secret("url-token"), {"value": f"{MARK}-url"}]
    merchants[0] |= {"signing_keys": [{"value": f"{MARK}-signing"}], "refresh_token": {"value": f"{MARK}-refresh"}}
    merchants[1] |= {"username": f"{MARK}@shop.example", "password": secret("password")}
    document = configurations.document("127.0.0.1:9", "", folder, merchants=merchants)
    document["kafka"] |= {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth": {
            "token_endpoint": "https://issuer.example/token",
            "client_id": f"{MARK}-client",
            "client_secret": {"value": f"{MARK}-secret"},
            "extensions": {"logicalCluster": f"{MARK}-extension"},
        },
    }
    document["encryption"] = {"keys": [{"id": "one", "key": secret("key")}]}
    document["worker"]["provider_proxy"] = {"url": "http://proxy.example:1", "credentials": {"value": f"{MARK}:{MARK}"}}
    subscriber = {"id": "erp", "url": f"https://hooks.example/{MARK}", "secrets": [{"value": f"{MARK}-whsec"}]}
    document["deliver"] = {"subscriptions": [subscriber]}
    document["console"] = {
        "access": {
            "kind": "oidc",
            "oidc": {
                "issuer": "https://issuer.example",
                "client_id": f"{MARK}-console",
                "client_secret": {"value": f"{MARK}-oidc"},
                "session_key": {"value": MARK * 8},
            },
            "grants": [{"users": [f"{MARK}@shop.example"], "role": "operator"}],
        },
        "api_tokens": [{"name": "shop", "token": {"value": MARK * 8}, "scopes": ["orders:read"]}],
    }
    return parse(yaml.safe_dump(document), "test.yaml")


@dataclass
class Operations:
    """The installation as its operators see it: their roles, and what the doctor finds."""

    configuration: Configuration
    roles: dict[str, Role] = field(default_factory=lambda: {EVERY_MERCHANT: Role.OPERATOR})
    findings: tuple[ScopedFinding, ...] = FINDINGS
    runs: int = 0
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def examine(self) -> Iterator[ScopedFinding]:
        self.runs += 1
        yield self.findings[0]
        assert self.may_go_on.wait(DEADLINE_SECONDS)
        yield from self.findings[1:]

    async def identify(self, connection: HTTPConnection) -> Identity:
        return Identity("jo", "proxy", self.roles)


Console = tuple[httpx.AsyncClient, Operations]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    operations = Operations(secretive(tmp_path))
    renderer = PageRenderer(lambda: IndexAge(0, 1764410400.0))
    pages = InstallationPages(operations.configuration, DoctorRuns(operations.examine), renderer)
    application = build_application(renderer, pages.routes(), operations.identify)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=HOST) as client:
        yield client, operations
    operations.may_go_on.set()


async def examine(client: httpx.AsyncClient) -> httpx.Response:
    token = re.search(r'name="form_token" value="([^"]+)"', (await client.get("/doctor")).text)
    assert token is not None
    return await client.post("/doctor", data={"form_token": token[1]}, headers={"origin": HOST})


def wait_for_doctor() -> None:
    for thread in threading.enumerate():
        if thread.name == "doctor":
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()


async def test_pages_show_no_secret(console: Console) -> None:
    client, operations = console
    # the doctor itself, without brokers and providers
    operations.findings = tuple(examined(operations.configuration, ExaminationScope(offline=True)))
    operations.may_go_on.set()
    await examine(client)
    wait_for_doctor()
    merchants = [f"/configuration/{one.id}" for one in operations.configuration.merchants]
    for path in ("/configuration", "/configuration?only=set", *merchants, "/doctor", "/versions"):
        page = (await client.get(path)).text
        assert MARK not in page, path
    assert "secrets of shop-uk" in (await client.get("/doctor")).text
    keys = (await client.get("/configuration")).text
    assert "encryption.keys[one].key" in keys
    assert "from the file" in keys
    assert "https://hooks.example/…" in keys


async def test_configuration_shows_each_key_with_its_origin(console: Console) -> None:
    client, _ = console
    page = (await client.get("/configuration")).text
    assert "<code>worker.stall_seconds</code></th><td>120</td><td>default</td>" in page
    assert "<code>kafka.sasl_mechanism</code></th><td>OAUTHBEARER</td><td>set</td>" in page
    only = (await client.get("/configuration?only=set")).text
    assert "kafka.sasl_mechanism" in only
    assert "worker.stall_seconds" not in only
    assert 'href="/configuration/shop-uk"' in page
    merchant = (await client.get("/configuration/shop-uk")).text
    assert "<code>webservices_url</code>" in merchant
    assert (await client.get("/configuration/nobody")).status_code == 404


async def test_operator_of_one_merchant_sees_nothing_of_others(console: Console) -> None:
    client, operations = console
    operations.may_go_on.set()
    operations.roles = {"shop-nl": Role.OPERATOR, "shop-uk": Role.VIEWER}
    await examine(client)
    wait_for_doctor()
    for path in ("/configuration", "/configuration/shop-nl", "/doctor"):
        page = (await client.get(path)).text
        assert "shop-uk" not in page, path
    assert "bootstrap_servers" not in (await client.get("/configuration")).text
    assert (await client.get("/configuration/shop-uk")).status_code == 403
    found = (await client.get("/doctor")).text
    assert "secrets of shop-nl" in found
    assert "one replica" in found


async def test_viewer_reaches_none_of_them(console: Console) -> None:
    client, operations = console
    operations.roles = {EVERY_MERCHANT: Role.VIEWER}
    for path in ("/configuration", "/configuration/shop-nl", "/doctor", "/versions"):
        assert (await client.get(path)).status_code == 403
    assert (await client.post("/doctor", data={}, headers={"origin": HOST})).status_code == 403
    assert operations.runs == 0


async def test_findings_come_while_the_run_goes_on_and_the_worst_first(console: Console) -> None:
    client, operations = console
    page = (await client.get("/doctor")).text
    assert "No run has ended" in page
    assert operations.runs == 0, "looking asks nobody"
    answer = await examine(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/doctor")
    page = (await client.get("/doctor")).text
    assert "begun by jo" in page
    assert "A run goes on" in page
    await examine(client)
    assert operations.runs == 1, "one run at a time"
    operations.may_go_on.set()
    wait_for_doctor()
    page = (await client.get("/doctor")).text
    assert re.search(r"4 findings of the run at .*, begun by jo. It ended \d s ago", page)
    places = [page.index(one) for one in ("it is missing", "one replica", "Apache Kafka 4.0", "2 readable")]
    assert places == sorted(places)
    assert "Write it." in page
    assert "<li>Apache Kafka 4.0</li>" in (await client.get("/versions")).text


async def test_form_of_another_session_starts_nothing(console: Console) -> None:
    client, operations = console
    answer = await client.post("/doctor", data={"form_token": "0" * 64}, headers={"origin": HOST})
    assert answer.status_code == 403
    assert operations.runs == 0


async def test_versions_name_the_libraries_of_this_process(console: Console) -> None:
    page = (await console[0].get("/versions")).text
    for name in ("paynotify", "CPython", "SQLite", "OpenSSL", "aiokafka", "msgspec", "starlette"):
        assert re.search(rf'<th scope="row">{name}</th><td>[^<]*\d+\.\d+', page), name
    assert 'when <a href="/doctor">the doctor</a> asks' in page
