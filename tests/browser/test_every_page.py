"""Every page for everybody: by day and night, on a desk and a phone, with a keyboard, and without script.

Then the questions that somebody who has never seen the console answers by a few clicks from its first page. `make test`
looks at each page in one way, `make browser` in all eight.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Final

import pytest
from playwright.sync_api import Browser

from paynotify.sandbox.processes import wait_for
from tests.browser import accessibility, pages
from tests.browser.day import OPERATOR, SHOP, WHY, Day, Shop, mend
from tests.browser.person import Person
from tests.browser.visit import DESK, PHONE, Scheme, Screen, visiting
from tests.console_process import DEADLINE_SECONDS, Console
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

#: More than a page has links and fields before those of the navigation.
MAX_TABS: Final = 60

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
        for path in paths if LONG else paths[TELLING.index(way) :: len(TELLING)]:
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
        for number in range(0, links.count(), 1 if LONG else 3):
            link = links.nth(number)
            target = link.get_attribute("href") or ""
            for _ in range(MAX_TABS):
                if link.evaluate("one => one === document.activeElement"):
                    break
                page.keyboard.press("Tab")
            with page.expect_navigation(url=f"**{target}"):
                page.keyboard.press("Enter")
            page.locator(f'nav a[href="{target}"][aria-current="page"]').wait_for()
        page.locator("#q").focus()
        page.keyboard.type("ORD-4711")
        page.keyboard.press("Enter")
        page.wait_for_url("**/orders/*/ORD-4711")
        page.locator("main a", has_text=day.paid).press("Enter")
        page.wait_for_url(f"**/{day.paid}")
        assert visit.problems == []


def test_open_pages_change_by_themselves_and_keep_what_is_typed(browser: Browser, console: Console, shop: Shop) -> None:
    with visiting(browser, console.address) as visit, visiting(browser, console.address) as other:
        live, first = visit.open("/live"), other.open("/")
        live.locator("[data-when=on]").wait_for()
        first.locator("#q").fill("ORD-47")
        first.evaluate("() => { window.isSame = true; }")
        row = first.locator("tr.problem", has_text="rejected")
        before = row.inner_text()
        shop.break_key()
        rejected = shop.pay("ORD-4716")
        live.locator("#events tr.problem", has_text=rejected).wait_for()
        assert wait_for(lambda: row.inner_text() != before, within_seconds=DEADLINE_SECONDS)
        assert first.evaluate("() => window.isSame"), "the page was loaded anew"
        assert first.locator("#q").input_value() == "ORD-47"
        assert [*visit.problems, *other.problems] == []
        mend(shop, console)


def test_flow_is_drawn_and_goes_on(browser: Browser, console: Console) -> None:
    with visiting(browser, console.address) as visit:
        page = visit.open("/flow?measure=rate")
        page.locator("#plot canvas").wait_for()
        told = page.locator("#diagram > .quiet").inner_text()
        page.wait_for_function("told => document.querySelector('#diagram > .quiet').innerText !== told", arg=told)
        assert page.locator("#plot canvas").count() == 1
        assert visit.problems == []


def test_order_4711_has_been_paid(browser: Browser, console: Console, day: Day) -> None:
    with visiting(browser, console.address, script=False) as visit:
        person = Person(visit)
        person.search("ORD-4711")
        said = person.reads()
        assert "Has order ORD-4711 of shop-uk been paid?" in said
        assert "Yes" in said
        assert "12.50 GBP" in said
        assert person.steps == 1


def test_order_4712_says_why_it_is_not_released(browser: Browser, console: Console, day: Day) -> None:
    with visiting(browser, console.address, script=False) as visit:
        person = Person(visit)
        person.search("ORD-4712")
        person.follow(day.waiting)
        said = person.reads()
        assert "the shop expects 20.00 GBP, and the payment is of 15.00 GBP" in said
        assert person.steps == 2


def test_first_page_says_what_is_broken_and_since_when(browser: Browser, console: Console, day: Day) -> None:
    with visiting(browser, console.address, script=False) as visit:
        person = Person(visit)
        today = datetime.now(UTC).date().isoformat()
        what, how_many, since = person.row("rejected").split(" | ")
        assert int(how_many) >= 1, what
        assert since.startswith(today)
        person.follow("rejected")
        assert f"{SHOP} | " in person.row("bad_signature"), "by provider, reason and merchant"
        assert day.replayed in person.reads()
        assert person.steps == 1


def test_log_says_who_replayed_what(browser: Browser, console: Console, day: Day) -> None:
    with visiting(browser, console.address, script=False) as visit:
        person = Person(visit)
        person.follow("Operators", within="nav")
        person.open_filter()
        person.choose("replay")
        person.press("Show")
        row = person.row(WHY)
        assert OPERATOR in row
        assert "bad_signature" in row
        assert person.steps == 4


def test_payment_is_rejected_and_put_right_in_the_browser(
    browser: Browser, console: Console, day: Day, shop: Shop
) -> None:
    with visiting(browser, console.address) as visit:
        person = Person(visit)
        person.follow("Live", within="nav")
        person.waits_for("What comes is added on top.")
        first = shop.pay("ORD-5001")
        person.waits_for(first)
        person.follow(first)
        assert "captured" in person.reads()

        shop.break_key()
        second = shop.pay("ORD-5002")
        person.follow("paynotify", within="header")
        person.waits_for("rejected")
        console.until("/rejected", second)
        person.follow("Rejected", within="nav")
        assert "bad_signature" in person.row(second)

        mend(shop, console)
        person.follow("Replay these")
        person.press("Dry run")
        said = person.reads()
        assert "Replay: dry run" in said
        assert second in said
        assert "captured" not in console.page(f"/payments/{SHOP}/{second}")[1], "a dry run changes nothing"
        person.type("Why", "the password was mended, in a browser")
        person.press("Do exactly this")
        person.waits_for("Done.")
        person.follow("Operators", within="nav")
        assert "in a browser" in person.row("in a browser")

        console.until(f"/payments/{SHOP}/{second}", "captured")
        person.search("ORD-5002")
        assert "The goods may leave: the payment is captured" in person.reads()
        assert visit.problems == []
