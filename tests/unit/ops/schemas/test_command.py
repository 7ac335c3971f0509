"""`paynotify schemas register`: once, by name and password or token, over TLS, and with errors that say what to do."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from paynotify.ops.main import main
from paynotify.sandbox.certificates import Authority
from paynotify.schemas.generate.json_schema import carries
from tests.fakes import configurations
from tests.fakes.schema_registry import Registry, serving

SUBJECTS = {f"{topic}-value" for topic in carries()}


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def url(registry: Registry) -> Iterator[str]:
    with serving(registry) as url:
        yield url


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(configurations.write(tmp_path, configurations.document("127.0.0.1:1", "", tmp_path)))


def secret(tmp_path: Path, text: str) -> str:
    file = tmp_path / "secret"
    file.write_text(text + "\n")
    return str(file)


def test_every_topic_with_json_is_registered_once(
    registry: Registry, url: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["schemas", "register", "--registry", url, "--config", config, "--json"]
    assert main(words) == 0
    assert registry.subjects.keys() == SUBJECTS
    assert set(registry.levels.values()) == {"FORWARD"}
    first = json.loads(capsys.readouterr().out)
    assert {one["state"] for one in first["subjects"]} == {"new"}
    assert first["schema_ids"].keys() == {kind.__name__ for kind in carries().values()}
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert {one["state"] for one in again["subjects"]} == {"registered"}
    assert again["schema_ids"] == first["schema_ids"]
    assert all(len(versions) == 1 for versions in registry.subjects.values())


def test_dry_run_writes_nothing_and_says_what_would_be_refused(
    registry: Registry, url: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.subjects["payments.status-value"] = ["{}"]
    words = ["schemas", "register", "--registry", url, "--config", config, "--dry-run"]
    assert main(words) == 0
    registry.incompatible.add("payments.status-value")
    assert main(words) == 1
    assert "incompatible" in capsys.readouterr().out
    assert registry.subjects == {"payments.status-value": ["{}"]}
    assert not [one for one in registry.calls if one.startswith("PUT") or one.endswith("/versions")]


def test_registrys_own_setting_can_be_kept(registry: Registry, url: str, config: str) -> None:
    assert main(["schemas", "register", "--registry", url, "--config", config, "--compatibility", "KEEP"]) == 0
    assert registry.levels == {}


def test_caller_is_named_by_password_or_token(registry: Registry, url: str, config: str, tmp_path: Path) -> None:
    words = ["schemas", "register", "--registry", url, "--config", config]
    registry.expects = "Basic " + base64.b64encode(b"erp:p:w").decode()
    assert main([*words, "--user", "erp", "--password-file", secret(tmp_path, "p:w")]) == 0
    registry.expects = "Bearer t0ken"
    assert main([*words, "--token-file", secret(tmp_path, "t0ken")]) == 0


def test_certificate_must_be_of_a_trusted_authority(
    registry: Registry, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("registry")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with serving(registry, context) as url:
        words = ["schemas", "register", "--registry", url, "--config", config]
        assert main(words) == 2
        assert "is not trusted" in capsys.readouterr().err
        assert main([*words, "--ca", str(authority.certificate)]) == 0


@pytest.mark.parametrize(
    ("refuses", "code", "problem"),
    [
        (401, 2, "refused the credentials"),
        (422, 2, "refused the call (HTTP 422): no words"),
        (503, 3, "failed (HTTP 503)"),
        (301, 2, "Check that --registry names the root"),
    ],
)
def test_refusal_says_what_to_do(
    registry: Registry,
    url: str,
    config: str,
    refuses: int,
    code: int,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.refuses = refuses
    assert main(["schemas", "register", "--registry", url, "--config", config]) == code
    assert problem in capsys.readouterr().err


def test_incompatible_schema_is_an_error_with_the_registrys_words(
    registry: Registry, url: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.subjects["payments.status-value"] = ["{}"]
    registry.incompatible.add("payments.status-value")
    assert main(["schemas", "register", "--registry", url, "--config", config]) == 2
    assert "incompatible with the registered one: Schema being registered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (["--registry", "http://127.0.0.1:1"], 3, "did not answer"),
        (["--registry", "registry.example.com"], 2, "--registry must be a URL"),
        (["--registry", "https://a:b@registry.example.com"], 2, "without user"),
        (["--registry", "https://registry.example.com", "--user", "a"], 2, "must be given together"),
        (["--registry", "https://registry.example.com", "--ca", "/nowhere"], 2, "can't be read"),
        (["--registry", "https://registry.example.com", "--token-file", "/nowhere"], 2, "/nowhere"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_registered(
    config: str, options: list[str], code: int, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schemas", "register", *options, "--config", config]) == code
    assert problem in capsys.readouterr().err
