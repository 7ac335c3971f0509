"""The console's process at an address that others reach: only with users, over TLS, and without any broker."""

from __future__ import annotations

import base64
import http.client
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from paynotify.ops import main
from paynotify.ops.console.access.password_hash import PasswordHash
from paynotify.sandbox.certificates import Authority
from paynotify.sandbox.processes import Child
from tests.console_process import DEADLINE_SECONDS, ROOT
from tests.fakes import configurations

PASSWORD = "correct horse: battery"
BASIC = {"kind": "basic", "grants": [{"users": ["alice"], "role": "viewer"}]}


def configured(folder: Path, **console: Any) -> Path:
    path = folder / "paynotify.yaml"
    path.write_text(yaml.safe_dump(configurations.document("127.0.0.1:9", "", folder, console=console)))
    return path


@pytest.mark.parametrize(
    ("listen", "console", "said"),
    [
        ("0.0.0.0:8090", {}, "console.access is none"),
        (":8090", {}, "console.access is none"),
        ("[::]:8090", {}, "console.access is none"),
        ("console.example:8090", {}, "console.access is none"),
        (":8090", {"access": {**BASIC, "basic": {"users": {"env": "X"}}}}, "needs console.public_urls"),
    ],
)
def test_address_that_others_reach_needs_users_and_a_url(
    listen: str, console: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path, **console)
    assert main.main(["console", "--listen", listen, "--config", str(config)]) == 2
    assert said in capsys.readouterr().err


def status_of(port: int, context: ssl.SSLContext, headers: dict[str, str]) -> int | None:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS, context=context)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    except (ConnectionError, ssl.SSLError):
        return None
    finally:
        connection.close()


def test_page_is_served_over_tls_to_who_has_the_password(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("console")
    blank = PasswordHash(10, 8, 1, b"salt" * 4, b"")
    users = tmp_path / "users"
    users.write_text(f"alice:{PasswordHash(10, 8, 1, blank.salt, blank._key_of(PASSWORD)).text()}\n")
    config = configured(
        tmp_path,
        access={**BASIC, "basic": {"users": {"file": str(users)}}},
        public_urls=["https://console.shop.example"],
        tls_certfile=str(issued.certificate),
        tls_keyfile=str(issued.key),
    )
    options = ["--listen", ":0", "--index", str(tmp_path / "index.sqlite"), "--config", str(config)]
    command = [sys.executable, "-m", "paynotify.ops.main", "console", *options]
    child = Child("console", command, tmp_path / "console.log", directory=ROOT)
    try:
        port = int(child.wait_for_event("listening", within_seconds=DEADLINE_SECONDS)["port"])
        context = ssl.create_default_context(cafile=str(authority.certificate))
        right, wrong = (base64.b64encode(f"alice:{one}".encode()).decode() for one in (PASSWORD, "wrong"))
        own = {"host": "console.shop.example"}
        asked = [
            (own, 401),
            ({**own, "authorization": f"Basic {wrong}"}, 401),
            ({**own, "authorization": f"Basic {right}"}, 200),
            ({"host": "other.shop.example", "authorization": f"Basic {right}"}, 421),
            # of a machine that nobody named as a proxy
            ({**own, "x-forwarded-user": "alice", "x-forwarded-for": "127.0.0.1"}, 401),
        ]
        for headers, status in asked:
            assert status_of(port, context, headers) == status, headers
        # what is left of a head that is too long may break the connection before the answer is read
        assert status_of(port, context, {**own, "x-long": "x" * 300_000}) in (400, None)
    finally:
        child.signal(signal.SIGKILL)
        assert child.wait(DEADLINE_SECONDS)
    lines = (tmp_path / "console.log").read_text()
    assert '"who":"alice"' in lines
    assert PASSWORD not in lines
