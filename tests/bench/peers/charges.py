"""A shop that charges by hand: InitRP, StartRP and Close one after the other, many customers at once, nothing kept."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import orjson
import uvloop
from httpx_aiohttp import HttpxAiohttpClient

#: As many calls at once as the worker makes by default.
_IN_FLIGHT: Final = 64


async def run(work: dict[str, Any]) -> None:
    """Charge every reference once, then wait for SIGTERM: what a process has used can't all be read once it is gone."""
    authorization = "Basic " + base64.b64encode(f"{work['store']}:{work['key']}".encode()).decode()
    slots = asyncio.Semaphore(_IN_FLIGHT)
    async with HttpxAiohttpClient(limits=httpx.Limits(max_connections=_IN_FLIGHT), trust_env=False) as http:

        async def call(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
            form = urlencode({"method": method, "json": json.dumps(arguments)})
            headers = {
                "Authorization": authorization,
                "User-Agent": f"{method} | peer | Python | 3",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            answer = await http.post(f"{work['url']}/api/payment/", content=form.encode(), headers=headers)
            found: dict[str, Any] = orjson.loads(answer.content)
            assert found["ResultCode"] == "SUCCESSFUL", found["ResultCode"]
            return found

        async def charge(number: int, reference: str) -> None:
            async with slots:
                order = {
                    "StoreName": work["store"],
                    "ReferenceTransactionId": reference,
                    "OrderId": f"peer-{number}",
                    "Amount": work["amount"],
                    "Currency": work["currency"],
                    "ResponseUrl": work["callback"],
                    "NotificationUrl": work["callback"],
                    "UserId": "customer",
                }
                transaction = (await call("InitRP", order))["TransactionId"]
                await call("StartRP", {"TransactionId": transaction})
                await call("Close", {"TransactionId": transaction, "Approved": "true"})

        print(json.dumps({"event": "worker_started"}), flush=True)
        await asyncio.gather(*(charge(number, one) for number, one in enumerate(work["references"])))
        print(json.dumps({"event": "charged"}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Charge, then wait for SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    work = orjson.loads(parser.parse_args().work.read_bytes())
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(run(work))


if __name__ == "__main__":
    main()
