"""``paynotify doctor``: diagnoses configuration, brokers, topics and providers; changes nothing but its own topic."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import chain
from typing import Final

import orjson

from paynotify.ops.doctor.examination import ExaminationScope, examined
from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.load import load
from paynotify.schemas.providers import provider_names

_EPILOG: Final = """\
Checks the configuration, every secret, the brokers, the topics (as `topics check`), access control, each provider
(connection, TLS, clock, and credentials where a call is harmless) and each subscriber of outbound webhooks. Nothing is
changed; to learn the brokers' time, empty records are written to the topic paynotify.clock. Each finding is ok,
warning, error or skipped. docs/operations/doctor.md lists the checks.

examples:
  paynotify doctor --config paynotify.yaml
  paynotify doctor --offline --json        configuration and secrets only
  paynotify doctor --provider omnikassa    where only this provider's secrets are mounted

exit codes: 0 no errors, 1 errors (unreachable brokers are one), 2 wrong use or configuration
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify doctor``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--provider",
        action="append",
        choices=provider_names(),
        default=[],
        help="check only this provider and its merchants' secrets (repeatable)",
    )
    parser.add_argument(
        "--recovery",
        action="store_true",
        help="also check credentials that a provider lets be used only rarely, with one call for each merchant",
    )
    parser.add_argument("--offline", action="store_true", help="check only configuration and secrets")


def run(arguments: argparse.Namespace) -> int:
    """Run the checks. Exit code 1 if a finding is an error.

    Raises:
        ConfigurationError: the configuration cannot be loaded, so nothing can be checked.
    """
    configuration = load(arguments.config)  # without a configuration there is nothing to check: exit code 2
    merchant_ids = ", ".join(sorted(one.id for one in configuration.merchants))
    loaded = Finding("configuration", "ok", f"{len(configuration.merchants)} merchants: {merchant_ids}")
    scope = ExaminationScope(
        providers=tuple(arguments.provider), offline=arguments.offline, recovery=arguments.recovery
    )
    findings: list[Finding] = []
    for finding in chain((loaded,), (one.finding for one in examined(configuration, scope))):
        findings.append(finding)
        if not arguments.json:
            print(finding, flush=True)
    errors = sum(one.verdict == "error" for one in findings)
    if arguments.json:
        print(orjson.dumps({"errors": errors, "findings": [asdict(one) for one in findings]}).decode())
    else:
        warnings = sum(one.verdict == "warning" for one in findings)
        print(f"{len(findings)} checks, {errors} errors, {warnings} warnings")
    return 1 if errors else 0
