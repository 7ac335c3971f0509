"""Every process over TLS and SASL, with certificates checked; and what is refused, without a word of the password."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.sandbox.certificates import Authority
from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.securing import MECHANISMS, PASSWORD, Secured, secured_broker
from tests.acceptance.shopping import buy
from tests.fakes.configurations import document, remove_topics, write

pytestmark = pytest.mark.kafka

ROOT: Final = Path(__file__).parents[2]
PREFIX: Final = "security."
START_SECONDS: Final = 90


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_broker(tmp_path_factory.mktemp("certificates")) as one:
        yield one


@pytest.mark.parametrize("way", [*MECHANISMS, "MUTUAL"])
def test_payments_go_all_the_way_over_a_secured_broker(secured: Secured, way: str) -> None:
    """Topics, ingress, stages and the operator's tools; only the test's own observer uses the plain listener."""
    every = way == "SCRAM-SHA-512"
    merchants = {"omnikassa": ("shop-nl",), "trustpayments": ("shop-uk",), "nevogate": ("shop-hu",)}
    plan = Plan(
        kafka=secured.broker.bootstrap,
        configuration={"kafka": secured.way(way)},
        merchants=merchants if every else {"nevogate": ("shop-hu",)},
        partitions=2,
        consumers=False,
    )
    with Sandbox(plan) as sandbox:
        observer = Observer(sandbox)
        try:
            for provider in sandbox.providers:
                buy(sandbox, provider)
            assert_right(sandbox, observer)
        finally:
            observer.close()
        payment = next(iter(observer.events()))
        config = ("--config", str(sandbox.config_path))
        assert payment in sandbox.command("trace", payment, *config)
        sandbox.command("audit", "--since", "1h", *config)
        sandbox.command("topics", "check", *config)
        said = "".join(child.log_path.read_text("utf-8", "replace") for child in sandbox.children())
    assert PASSWORD not in said


@pytest.fixture(scope="module")
def topics_there(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    file = configuration(secured.sasl("PLAIN"), tmp_path_factory.mktemp("topics"))
    code, said = paynotify("topics", "apply", file=file)
    assert code == 0, said
    yield
    remove_topics(secured.broker.bootstrap, PREFIX)


def configuration(kafka: dict[str, Any], directory: Path) -> Path:
    content = document("", PREFIX, directory)
    content["kafka"] = {**kafka, "topic_prefix": PREFIX}
    return write(directory, content)


def paynotify(*words: str, file: Path) -> tuple[int, str]:
    """Exit code and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
        cwd=ROOT,
    )
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stderr or done.stdout


PROCESSES: Final = {
    "ingest": ("ingest", "--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"),
    "worker": ("worker", "--management", "127.0.0.1:0"),
}


def refused_kafka(secured: Secured, what: str, tmp_path: Path) -> dict[str, Any]:
    stranger = Authority(tmp_path, "stranger")
    port = secured.broker.address("SASL").rpartition(":")[2]
    return {
        "a wrong password": secured.sasl("SCRAM-SHA-256", sasl_plain_password={"value": "wr0ng"}),
        "a wrong PLAIN password": secured.sasl("PLAIN", sasl_plain_password={"value": "wr0ng"}),
        "a broker of another authority": secured.sasl("PLAIN", ssl_cafile=str(stranger.certificate)),
        "a broker of no known authority": secured.sasl("PLAIN", ssl_cafile=None),
        "a name the certificate lacks": secured.sasl("PLAIN", bootstrap_servers=f"localhost:{port}"),
        "no client certificate": secured.mutual(ssl_certfile=None, ssl_keyfile=None),
        "no TLS": {"bootstrap_servers": secured.broker.address("SASL")},
    }[what]


REFUSED: Final = (
    "a wrong password",
    "a broker of another authority",
    "a wrong PLAIN password",
    "a broker of no known authority",
    "a name the certificate lacks",
    "no client certificate",
    "no TLS",
)


@pytest.fixture(scope="module")
def refusals(
    secured: Secured, topics_there: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str]]:
    """What became of every look that must fail; side by side, for each waits its time for a broker."""

    def look(what: str) -> tuple[int, str]:
        directory = tmp_path_factory.mktemp("refused")
        file = configuration(refused_kafka(secured, what, directory), directory)
        return paynotify("topics", "check", file=file)

    with ThreadPoolExecutor(4) as pool:
        started = {what: pool.submit(look, what) for what in REFUSED}
        return {what: future.result() for what, future in started.items()}


@pytest.mark.parametrize("refused", REFUSED)
def test_command_with_wrong_kafka_security_ends_with_a_clear_error(
    refusals: dict[str, tuple[int, str]], refused: str
) -> None:
    code, said = refusals[refused]
    assert code == 3, said
    assert "Traceback" not in said
    assert "wr0ng" not in said
    assert "security settings" in said


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("refused", REFUSED[:2])
@pytest.mark.usefixtures("topics_there")
def test_process_that_is_not_let_in_says_so_and_waits(
    secured: Secured, refused: str, process: str, tmp_path: Path
) -> None:
    """For the password's file or the brokers may be the next to change."""
    file = configuration(refused_kafka(secured, refused, tmp_path), tmp_path)
    command = [sys.executable, "-m", "paynotify.ops.main", *PROCESSES[process], "--config", str(file)]
    child = Child(process, command, tmp_path / "log", directory=ROOT)
    try:
        port = int(child.wait_for_event("management_listening")["port"])
        soon(
            lambda: "security settings" in probe(port, "/readyz")[1], START_SECONDS, f"it never said so: {child.end()}"
        )
        assert probe(port, "/readyz")[0] == 503
        assert probe(port, "/livez")[0] == 200
    finally:
        code = child.stop()
    assert code == 0
    said = child.log_path.read_text("utf-8")
    assert "Traceback" not in said
    assert "wr0ng" not in said


@pytest.mark.usefixtures("topics_there")
def test_host_name_is_only_left_unchecked_on_request(secured: Secured, tmp_path: Path) -> None:
    port = secured.broker.address("SASL").rpartition(":")[2]
    kafka = secured.sasl("PLAIN", bootstrap_servers=f"localhost:{port}", ssl_check_hostname=False)
    code, said = paynotify("topics", "check", file=configuration(kafka, tmp_path))
    assert code == 0, said
