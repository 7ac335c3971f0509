"""Every page for everybody: by day and night, on a desk and a phone, with a keyboard, and without script.

`make test` looks at each page twice, `make browser` in each way.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest
from playwright.sync_api import Browser

from paynotify.sandbox.system import Sandbox
from tests.browser import accessibility, pages
from tests.browser.day import SHOP, Day, Shop
from tests.browser.visit import DESK, PHONE, Scheme, Screen, visiting
from tests.console_process import Console
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

Way = tuple[Scheme, Screen, bool]

SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
EACH_WAY: Final[tuple[Way, ...]] = tuple(product(SCHEMES, (DESK, PHONE), (True, False)))
TELLING: Final[tuple[Way, ...]] = (("light", DESK, True), ("dark", PHONE, False))

BAD_PAGE: Final = """<html><head><title>x</title><style>
:focus { outline: none } p { color: #888; background: #777; width: 900px }
</style></head><body><a href="/">home</a><p>hello</p><button id="b" tabindex="-1">x</button>
<script>
document.getElementById('b').tabIndex = 0;
document.addEventListener('keydown', pressed => pressed.preventDefault());
</script>
"""


@pytest.fixture(scope="module")
def paths(browser: Browser, console: Console, day: Day) -> list[str]:
    """A page of each kind, as one without script finds them."""
    with visiting(browser, console.address, script=False) as visit:
        found = pages.find(visit, f"/payments/{SHOP}/{day.waiting}", "/search?q=ORD")
        assert visit.problems == []
    return found


def test_checks_find_what_is_wrong(browser: Browser) -> None:
    with visiting(browser, "http://127.0.0.1:9", screen=PHONE) as visit:
        visit.page.set_content(BAD_PAGE)
        assert {"color-contrast", "html-has-lang"} <= {
            one.partition(":")[0] for one in accessibility.violations(visit.page)
        }
        assert accessibility.too_wide(visit.page)
        assert accessibility.unreachable(visit.page) == ["Tab leads to 0 of 2 links and fields"]
        visit.page.evaluate("() => { console.error('a breach'); }")
        assert [one.partition(" ")[0] for one in visit.problems] == ["error"]


@pytest.mark.parametrize("way", EACH_WAY if LONG else TELLING, ids=str)
def test_page_serves_everybody(way: Way, browser: Browser, console: Console, paths: list[str]) -> None:
    scheme, screen, script = way
    found: dict[str, list[str]] = {}
    with visiting(browser, console.address, scheme=scheme, screen=screen) as visit:
        for path in paths:
            visit.script(runs=script)
            page = visit.open(path)
            visit.script(runs=True)
            assert page.locator("main h1").count() == 1, path
            found[path] = [*accessibility.violations(page), *accessibility.too_wide(page)]
            if screen == DESK:
                found[path] += accessibility.unreachable(page)
        assert visit.problems == []
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_keyboard_opens_each_page_of_the_navigation(browser: Browser, console: Console, day: Day) -> None:
    with visiting(browser, console.address) as visit:
        page = visit.open("/")
        links = page.locator("nav a")
        for number in range(links.count()):
            link = links.nth(number)
            target = link.get_attribute("href") or ""
            while not link.evaluate("one => one === document.activeElement"):
                page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.wait_for_url(f"**{target}")
            # waited for: a page that leads to itself has its address before it is loaded anew
            page.locator(f'nav a[href="{target}"][aria-current="page"]').wait_for()
        page.locator("#q").focus()
        page.keyboard.type("ORD-4711")
        page.keyboard.press("Enter")
        page.wait_for_url("**/orders/shop-uk/ORD-4711")  # the only one with this id
        page.locator("main a", has_text=day.paid).press("Enter")
        page.wait_for_url(f"**/{day.paid}")
        assert visit.problems == []


def test_open_pages_change_by_themselves_and_keep_what_is_typed(
    browser: Browser, console: Console, sandbox: Sandbox
) -> None:
    shop = Shop(sandbox)
    with visiting(browser, console.address) as visit, visiting(browser, console.address) as other:
        live, first = visit.open("/live"), other.open("/")
        live.locator("[data-when=on]").wait_for()
        first.locator("#q").fill("ORD-47")
        first.evaluate("() => { window.isSame = true; }")
        assert first.locator("tr.problem", has_text="rejected").count() == 0
        shop.break_key()
        rejected = shop.pay("ORD-4716")
        live.locator("#events tr.problem", has_text=rejected).wait_for()
        first.locator("tr.problem", has_text="rejected").wait_for()
        assert first.evaluate("() => window.isSame"), "the page was loaded anew"
        assert first.locator("#q").input_value() == "ORD-47"
        assert [*visit.problems, *other.problems] == []


def test_flow_is_drawn_and_goes_on(browser: Browser, console: Console) -> None:
    with visiting(browser, console.address) as visit:
        page = visit.open("/flow?measure=rate")
        page.locator("#plot canvas").wait_for()
        told = page.locator("#diagram > .quiet").inner_text()
        page.wait_for_function("told => document.querySelector('#diagram > .quiet').innerText !== told", arg=told)
        assert page.locator("#plot canvas").count() == 1
        assert visit.problems == []
