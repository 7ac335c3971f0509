"""Whole systems on a Kafka of their own: what is broken on purpose here must not be anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from paynotify.sandbox.signals import ends_on_signal
from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.ledger import Observer


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[Plan], Sandbox]]:
    """Starts a sandbox with its own broker, also where ``KAFKA`` names a cluster; all end with the module, or when
    the tests are terminated."""
    with pytest.MonkeyPatch.context() as patch, ends_on_signal(), ExitStack() as stack:
        patch.delenv("KAFKA", raising=False)
        yield lambda plan: stack.enter_context(Sandbox(plan))


@pytest.fixture
def observer(sandbox: Sandbox) -> Iterator[Observer]:
    """An independent reader of the module's sandbox."""
    one = Observer(sandbox)
    yield one
    one.close()
