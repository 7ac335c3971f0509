"""What those who see little, use no mouse, or hold a phone need of a page; each function returns what is missing."""

from __future__ import annotations

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE: Final = Axe()
_OPTIONS: Final = {"resultTypes": ["violations"]}
_MAX_STEPS: Final = 400

_FOCUSABLE: Final = """() => {
    const found = document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]');
    return [...found].filter(one => one.checkVisibility() && !one.disabled && one.tabIndex >= 0).length;
}"""
#: Marks what has the focus; says whether it was there before, and whether one can see it there.
_FOCUSED: Final = """() => {
    const one = document.activeElement;
    if (one === document.body || one === null) return null;
    const style = getComputedStyle(one);
    const seen = one.dataset.tabbed === '1';
    one.dataset.tabbed = '1';
    const box = one.getBoundingClientRect();
    return {
        seen,
        name: one.outerHTML.slice(0, 120),
        outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        shown: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0,
    };
}"""
_WIDER: Final = """width => {
    if (document.documentElement.scrollWidth <= width) return [];
    const right = one => one.getBoundingClientRect().right;
    const wide = [...document.querySelectorAll('body *')].filter(one => right(one) > width);
    return wide.slice(0, 3).map(one => `${right(one)} px: ${one.outerHTML.slice(0, 120)}`);
}"""


def violations(page: Page) -> list[str]:
    """What axe-core finds, by rule and element."""
    found: list[dict[str, Any]] = _AXE.run(page, options=_OPTIONS).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} ({_why(node)})" for one in found for node in one["nodes"][:3]
    ]


def _why(node: dict[str, Any]) -> str:
    return "; ".join(one["message"] for kind in ("any", "all", "none") for one in node[kind])[:300]


def unreachable(page: Page) -> list[str]:
    """What Tab does not lead to, or where one does not see that it did."""
    problems = []
    expected = page.evaluate(_FOCUSABLE)
    reached = 0
    page.evaluate("() => { document.activeElement?.blur(); }")
    for _ in range(_MAX_STEPS):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None or focused["seen"]:
            break
        reached += 1
        if not focused["outlined"]:
            problems.append(f"the focus is not to be seen on {focused['name']}")
        if not focused["shown"]:
            problems.append(f"out of sight with the focus: {focused['name']}")
    if reached < expected:
        problems.append(f"Tab leads to {reached} of {expected} links and fields")
    return problems


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll sideways; tables may do so in a box of their own."""
    screen = page.viewport_size
    assert screen is not None
    found: list[str] = page.evaluate(_WIDER, screen["width"])
    return found
