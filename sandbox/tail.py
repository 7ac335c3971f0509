"""``python -m paynotify.sandbox.tail --bootstrap HOST:PORT``: prints a topic from the beginning, one line each."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from itertools import islice

from kafka import KafkaConsumer


def main() -> None:
    """Print until Ctrl-C, or until there were as many as asked for."""
    parser = argparse.ArgumentParser(
        prog="paynotify.sandbox.tail", description="Print a topic's values, one line each."
    )
    parser.add_argument("--bootstrap", default="localhost:9092", help="Kafka's HOST:PORT (default %(default)s)")
    parser.add_argument("--topic", default="payments.status", help="default %(default)s")
    parser.add_argument("--count", type=int, help="end after this many records (default: never)")
    arguments = parser.parse_args()
    settings = {"bootstrap_servers": arguments.bootstrap, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    with suppress(KeyboardInterrupt), closing(KafkaConsumer(arguments.topic, **settings)) as consumer:
        for record in islice(consumer, arguments.count):
            print((record.value or b"").decode("utf-8", "replace"), flush=True)


if __name__ == "__main__":
    main()
