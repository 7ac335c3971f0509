"""An index that a test of the console fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paynotify.ops.console.index.payment_index import PaymentIndex
from tests.fakes.console_topics import NAMES


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PaymentIndex]:
    """An empty one, in `tmp_path`."""
    one = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test")
    yield one
    one.close()
