"""``python -m tests.pictures``: draws every dashboard of the chart from a real Prometheus.

The sandbox lives a short day of payments and troubles while Prometheus scrapes it; then every query is asked and
every dashboard drawn. Exit code 0 if each query was answered, 1 if one was not, 2 if the day could not be lived.
Panels without data, and those that are 0 all along, are listed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from paynotify.sandbox.signals import ends_on_signal
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.errors import PaynotifyError
from tests.helm.tools import MissingToolError
from tests.pictures.dashboard import Answer, ask, read
from tests.pictures.day import live, plan
from tests.pictures.picture import draw
from tests.pictures.prometheus import Prometheus, Span

_ROOT: Final = Path(__file__).parents[2]
DASHBOARDS: Final = _ROOT / "helm" / "paynotify" / "dashboards"
PICTURES: Final = _ROOT / "docs" / "operations" / "kubernetes"
#: Nobody subscribes to webhooks in the day that is drawn: each of its panels would be empty.
EMPTY: Final = frozenset({"paynotify-deliver"})


def main(argv: Sequence[str] | None = None) -> int:
    """Live the day unless it is told to draw the last one again; draw, and list what has nothing to show."""
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="how long the day lasts (default %(default)g)")
    parser.add_argument("--again", action="store_true", help="draw the last day once more, without living one")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="DIRECTORY", help="where the pictures go")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build/pictures"),
        metavar="DIRECTORY",
        help="where logs and Prometheus' data are kept (default %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if arguments.minutes <= 0:
        parser.error("--minutes must be more than 0")
    work = arguments.work.resolve()
    if arguments.again and not (work / "span.json").exists():
        parser.error(f"there is no day in {arguments.work}; live one first, without --again")
    try:
        with ends_on_signal():
            if not arguments.again:
                shutil.rmtree(work, ignore_errors=True)
            answers = _answers(work, arguments.minutes * 60, again=arguments.again, out=arguments.out)
    except (PaynotifyError, MissingToolError) as error:
        print(f"There are no pictures: {error}", file=sys.stderr)
        return 2
    return _told(answers)


def _answers(work: Path, seconds: float, *, again: bool, out: Path) -> dict[str, list[Answer]]:
    """Every dashboard's answers; it is drawn already."""
    answers = {}
    with Prometheus(work / "prometheus") as prometheus:
        if not again:
            with Sandbox(plan(work / "logs")) as sandbox:
                span = live(sandbox, prometheus, seconds, lambda text: print(text, file=sys.stderr, flush=True))
            (work / "span.json").write_text(json.dumps(asdict(span)), "utf-8")
        span = Span(**json.loads((work / "span.json").read_text("utf-8")))
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(one for one in DASHBOARDS.glob("*.json") if one.stem not in EMPTY):
            dashboard = read(file)
            answers[dashboard.name] = ask(prometheus, dashboard, span)
            draw(dashboard, answers[dashboard.name], span, out / f"{dashboard.name}.png")
    return answers


def _told(answers: dict[str, list[Answer]]) -> int:
    failed = 0
    for dashboard, panels in answers.items():
        for one in panels:
            if one.error:
                failed += 1
                print(f"ERROR {dashboard}: {one.panel.title}: {one.error}: {one.panel.query}")
            elif one.empty:
                print(f"no data: {dashboard}: {one.panel.title}")
            elif one.zero:
                print(f"0 all along: {dashboard}: {one.panel.title}")
    count = sum(len(panels) for panels in answers.values())
    print(f"{len(answers)} dashboards, {count} panels, {failed} queries with an error")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
