"""The doctor warns of public URLs that take calls without TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from paynotify.ops.doctor.public_urls import check_public_urls, takes_plain_calls
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError

MERCHANTS = """
merchants:
  - {id: shop-hu, provider: nevogate, store_name: s, api_key: {env: KEY}, base_url: "https://hu.example"}
"""


def configuration(ingest: str) -> Configuration:
    return parse(f"ingest: {ingest}\n{MERCHANTS}", "test.yaml")


def verdicts(ingest: str) -> list[str]:
    return [str(one).partition(" (")[0] for one in check_public_urls(configuration(ingest), offline=True)]


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers one call; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_url_without_tls_is_a_warning() -> None:
    (finding,) = check_public_urls(configuration("{public_urls: ['http://hooks.shop.example']}"), offline=True)
    assert finding.verdict == "warning"
    assert finding.what.startswith("http://hooks.shop.example has no TLS")


def test_https_url_is_fine_and_none_at_all_is_not_known() -> None:
    assert verdicts("{public_urls: ['https://hooks.shop.example/pay']}") == [
        "ok       public URLs: https://hooks.shop.example/pay is https"
    ]
    assert verdicts("{}")[0].startswith("skipped  public URLs: whether TLS is terminated")
    assert verdicts("{tls_certfile: cert.pem}") == []


@pytest.mark.parametrize("url", ["ftp://x", "hooks.shop.example", "https://user@hooks.shop.example"])
def test_other_than_a_base_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="public_urls"):
        configuration(f"{{public_urls: ['{url}']}}")


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", True),
        (b"HTTP/1.1 301 Moved Permanently\r\nlocation: https://x/\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", False),
        (b"no HTTP\r\n\r\n", False),
    ],
)
def test_answer_of_the_ingress_alone_counts_as_taking_calls(answer: bytes, plain: bool) -> None:
    with answering(answer) as port:
        assert takes_plain_calls("127.0.0.1", port) is plain


def test_host_that_cannot_be_reached_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert takes_plain_calls("127.0.0.1", port) is None
