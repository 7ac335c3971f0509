"""Measures a console over a million payments: how fast its index is built, pages at 50 viewers, and its memory.

``make console`` runs it against the process as it is served. The figures are of this machine at this moment: the table
says what was wanted, and how busy the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from paynotify.sandbox.system import Plan, Sandbox
from tests.bench import procfs
from tests.console_load.filling import fill, records_of
from tests.console_load.served import CONFIGURATION, ServedConsole
from tests.console_load.viewers import Seen, look

_BUILD_SECONDS: Final = 1800.0
_WANTED: Final = {"records_per_second": 20_000, "search": 50, "page": 100, "rss": 200}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.console_load", description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they look")
    options = parser.parse_args(arguments)
    merchants = {"nevogate": ("shop-hu",)}
    plan = Plan(workers=(), consumers=False, ingest=False, merchants=merchants, configuration=CONFIGURATION)
    with Sandbox(plan) as sandbox, tempfile.TemporaryDirectory() as folder:
        fill(sandbox, range(options.payments))
        records = records_of(options.payments)
        print(f"{options.payments:,} payments, {records:,} records", flush=True)
        with ServedConsole(sandbox, Path(folder) / "index.sqlite") as console:
            began = time.monotonic()
            console.until_complete(_BUILD_SECONDS)
            seconds, cpu_seconds = time.monotonic() - began, procfs.cpu_seconds(console.child.pid)
            built_rss_bytes = procfs.peak_rss_bytes(console.child.pid)
            seen = asyncio.run(look(console.port, options.payments, options.viewers, options.seconds))
            rss_bytes = procfs.peak_rss_bytes(console.child.pid)
            size_bytes = sum(one.stat().st_size for one in Path(folder).glob("index.sqlite*"))
    _tell(records, seconds, cpu_seconds)
    _tell_pages(seen)
    print(f"RSS: {built_rss_bytes / 1e6:.0f} MB when built, {rss_bytes / 1e6:.0f} MB at most (of {_WANTED['rss']})")
    print(f"file: {size_bytes / 1e6:.0f} MB. Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    return 1 if seen.wrong or seen.lost else 0


def _tell(records: int, seconds: float, cpu_seconds: float) -> None:
    print(
        f"index: {records / seconds:,.0f} records/s ({seconds:.0f} s), {records / cpu_seconds:,.0f} per CPU second "
        f"(wanted: {_WANTED['records_per_second']:,})"
    )


def _tell_pages(seen: Seen) -> None:
    for kind, found in sorted(seen.seconds.items()):
        wanted = _WANTED["search" if kind == "search" else "page"]
        p50, p99 = (seen.quantile(kind, share) * 1000 for share in (0.5, 0.99))
        print(f"{kind}: {len(found)} loaded, p50 {p50:.0f} ms, p99 {p99:.0f} ms (wanted: {wanted})")
    print(f"wrong: {len(seen.wrong)}, lost: {seen.lost}")
    for one in seen.wrong[:5]:
        print(f"  {one}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
