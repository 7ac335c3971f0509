"""A sandbox simulator behind real HTTP, in the test's own event loop, with its control at hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from paynotify.sandbox.simulators.base import Simulator
from paynotify.sandbox.simulators.server import App
from paynotify.sandbox.simulators.trustpayments.settings import TrustPaymentsSettings, TrustPaymentsShop
from paynotify.sandbox.simulators.trustpayments.simulator import TrustPaymentsSimulator


@asynccontextmanager
async def simulated(simulator: Simulator[Any]) -> AsyncIterator[str]:
    """The address the simulator answers at until the block ends; it sends no notifications."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(App(simulator), http="httptools", lifespan="off", log_config=None, access_log=False)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def trustpayments_gateway() -> TrustPaymentsSimulator:
    """The simulated gateway with the site of the account ``trustpayments``; queries see every request at once."""
    site = TrustPaymentsShop(
        merchant="shop",
        site_reference="test_acme98765",
        notification_password="n",
        username="webservices@merchant.example",
        password="Passw0rd_é",
    )
    return TrustPaymentsSimulator(TrustPaymentsSettings(shops=(site,), visible_within_seconds=0.0))
