"""``python -m paynotify.sandbox.simulator PROVIDER --settings FILE``: runs one simulated provider as a process.

The settings file (JSON) holds the shops with their generated secrets; the program itself contains none. The port is
logged as the event ``listening``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from paynotify.sandbox.simulators.server import serve
from paynotify.sandbox.simulators.spec import simulator_specs
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.logs import set_up


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one provider until SIGTERM. Exit code 2: the settings are wrong."""
    simulators = simulator_specs()
    parser = argparse.ArgumentParser(prog="paynotify.sandbox.simulator", description="Simulate one payment provider.")
    parser.add_argument("provider", choices=sorted(simulators))
    parser.add_argument("--settings", type=Path, required=True, help="JSON file with shops, secrets and times")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 chooses a free one")
    parser.add_argument("--latency-seconds", type=float, help="delay of every response")
    parser.add_argument("--time-scale", type=float, help="the provider's seconds per real second")
    arguments = parser.parse_args(argv)
    set_up(f"simulator-{arguments.provider}")
    spec = simulators[arguments.provider]
    try:
        data = msgspec.json.decode(arguments.settings.read_bytes())
        for name in ("latency_seconds", "time_scale"):
            if getattr(arguments, name) is not None:
                data[name] = getattr(arguments, name)
        settings = msgspec.convert(data, spec.settings)
        uvloop.run(serve(spec.simulator(settings), arguments.listen))
    except (OSError, msgspec.MsgspecError, ConfigurationError) as error:
        print(f"{arguments.settings}: {error}. Correct the file or the address.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
