"""``python -m paynotify.sandbox.billing.subscribers --gateway URL --csv FILE``: registers example customers.

Each gets an initial payment at the simulated gateway that registers a payment method, and a line in the file that the
example biller reads. A few payment methods are withdrawn, declined, or decided late.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.billing.bills import COLUMNS
from paynotify.sandbox.simulators.control import Control
from paynotify.schemas.errors import ProviderUnavailableError
from paynotify.schemas.money import Money, to_major

#: Payment methods that do not simply succeed: how many of a thousand, and their settings at the gateway.
_PAYMENT_METHODS: Final[Mapping[str, tuple[int, Mapping[str, str]]]] = {
    "declined": (20, {"outcome": "ERROR"}),
    "withdrawn": (10, {"registration": "withdrawn"}),
    "slow": (20, {"outcome": "PENDING-SUCCESSFUL"}),
}
_PRICES: Final = (Money(990, "EUR"), Money(1990, "EUR"), Money(499000, "HUF"))


def register(
    control: Control, merchant: str, count: int, *, month: str, seed: int = 1, notify: bool = False
) -> list[dict[str, str]]:
    """Lines of the biller's CSV for ``count`` new customers of the merchant, registered at the gateway.

    With ``notify`` the gateway sends notifications of these payments; without, they predate the sandbox.

    Raises:
        ProviderUnavailableError: the simulator cannot be reached, or rejects a payment.
    """
    chance = random.Random(seed)
    prices = [chance.choice(_PRICES) for _ in range(count)]
    orders = [
        {**_registration(merchant, number, price, chance), "notify": notify} for number, price in enumerate(prices, 1)
    ]
    payments = control.pay_all(orders)
    return [
        dict(
            zip(
                COLUMNS,
                (order["user_id"], payment, to_major(price), price.currency, f"{month}/{order['user_id']}"),
                strict=True,
            )
        )
        for order, payment, price in zip(orders, payments, prices, strict=True)
    ]


def write(file: Path, lines: Iterable[Mapping[str, str]]) -> None:
    """Write the lines as the file that the biller reads."""
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)


def _registration(merchant: str, number: int, price: Money, chance: random.Random) -> dict[str, Any]:
    customer = f"customer-{number:05}"
    order = {
        "merchant": merchant,
        "order_id": f"REG-{customer}",
        "amount": price.value,
        "currency": price.currency,
        "user_id": customer,
        "registration": "active",
    }
    drawn = chance.randrange(1000)
    for share, method in _PAYMENT_METHODS.values():
        drawn -= share
        if drawn < 0:
            return {**order, **method}
    return order


def main(argv: Sequence[str] | None = None) -> int:
    """Register the customers and write the file. Exit code 2: the gateway or the file is not accessible."""
    parser = argparse.ArgumentParser(
        prog="paynotify.sandbox.billing.subscribers", description="Register customers for the example biller."
    )
    parser.add_argument("--gateway", required=True, metavar="URL", help="address of the simulated gateway")
    parser.add_argument("--csv", required=True, type=Path, metavar="FILE", help="the file to write")
    parser.add_argument("--merchant", default="shop-hu", help="the customers' merchant (default %(default)s)")
    parser.add_argument(
        "--customers", type=int, default=1000, metavar="N", help="number of customers (default %(default)s)"
    )
    parser.add_argument(
        "--month", default="2026-11", metavar="YYYY-MM", help="month of the orders (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default %(default)s)")
    arguments = parser.parse_args(argv)
    control = Control("nevogate", arguments.gateway)
    try:
        lines = register(control, arguments.merchant, arguments.customers, month=arguments.month, seed=arguments.seed)
        write(arguments.csv, lines)
    except (ProviderUnavailableError, OSError) as error:
        print(f"{error}. Correct --gateway or --csv.", file=sys.stderr)
        return 2
    finally:
        control.close()
    print(f"{len(lines)} customers in {arguments.csv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
