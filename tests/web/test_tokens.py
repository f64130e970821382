"""A member token opens the widget and little else; when it ends, the page brings another one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from tests.conftest import fresh_database
from tests.web.conftest import RULES, TIERS
from tests.web.credentials import GuardedLedger, guarded_ledger
from tests.web.pages import CONTENT, Site, Visitor, part, until, widget

REFUSED = ("401", "unauthenticated: ")


@pytest.fixture(scope="module")
def guarded(
    cluster: EmbeddedServer,
    administrator: Connection,
    template: str,
    site: Site,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GuardedLedger]:
    """A ledger that asks for credentials; the site's pages call it."""
    directory = tmp_path_factory.mktemp("keys")
    with (
        fresh_database(cluster, administrator, template) as url,
        guarded_ledger(
            url, directory, {"tiers": TIERS, **RULES}, web_origins=(site.origin,)
        ) as ledger,
    ):
        before, site.ledger = site.ledger, ledger.url
        yield ledger
        site.ledger = before


@pytest.fixture
def visitor(browser: Browser, site: Site, guarded: GuardedLedger) -> Iterator[Visitor]:
    visitor = Visitor(browser, site)
    yield visitor
    visitor.leave()


def note_expiries(page: Page) -> None:
    """Count how often the page is asked for a token, and when."""
    page.evaluate(
        """() => {
            window.expiries = [];
            addEventListener("loyalty-token-expired", (event) => expiries.push(
                [event.detail.program, event.detail.member, event.target.localName]));
        }"""
    )


def give(page: Page, token: str) -> None:
    page.eval_on_selector("loyalty-balance", "(element, token) => element.token = token", token)


def test_a_token_opens_the_widget(guarded: GuardedLedger, visitor: Visitor, member: str) -> None:
    guarded.sell(member, member, 12)

    page = visitor.opens(widget(member, token=guarded.token(member)), watching=True)
    expect(part(page, "number")).to_have_text("12")
    guarded.sell(member, f"{member}-2", 3)

    expect(part(page, "number")).to_have_text("15")


def test_it_opens_nothing_else(guarded: GuardedLedger, visitor: Visitor, member: str) -> None:
    visitor.expect("403", "permission_denied: ")
    guarded.sell("somebody-else", member, 12)
    guarded.sell(member, f"{member}-2", 12)

    page = visitor.opens(widget("somebody-else", token=guarded.token(member)))

    expect(page.get_by_text("Your points can not be shown.")).to_be_visible()
    assert "12" not in page.locator("loyalty-balance").inner_text()


def test_nothing_stays_that_the_token_of_somebody_else_does_not_show(
    guarded: GuardedLedger, visitor: Visitor, member: str
) -> None:
    """Whoever signs in next gets a token of their own, and the page may forget to say who it is."""
    visitor.expect("403", "permission_denied: ")
    guarded.sell(member, member, 12)
    guarded.sell("somebody-else", f"{member}-2", 7)
    page = visitor.opens(widget(member, token=guarded.token(member)), watching=True)
    expect(part(page, "number")).to_have_text("12")

    give(page, guarded.token("somebody-else"))

    expect(page.get_by_text("Your points can not be shown.")).to_be_visible()
    assert "12" not in page.eval_on_selector("loyalty-balance", CONTENT)


def test_when_a_token_ends_the_page_brings_another_one(
    guarded: GuardedLedger, visitor: Visitor, member: str
) -> None:
    visitor.expect(*REFUSED)
    guarded.sell(member, member, 12)
    token = guarded.token(member, seconds=6)  # a busy machine opens pages slowly
    ends = time.time() + 6.1
    page = visitor.opens(widget(member, token=token), watching=True)
    note_expiries(page)
    expect(part(page, "number")).to_have_text("12")

    # What is open tells nothing more once the token has ended.
    page.wait_for_timeout(max(0.0, ends - time.time()) * 1_000)
    guarded.sell(member, f"{member}-2", 3)
    until(page, "expiries.length > 0")
    assert page.evaluate("expiries[0]") == ["bean-street", member, "loyalty-balance"]
    expect(part(page, "number")).to_have_text("12")
    expect(part(page, "note")).to_be_hidden()  # the customer need not know

    give(page, guarded.token(member))
    expect(part(page, "number")).to_have_text("15")
    expect(page.locator("[state=ready]")).to_have_count(1)


def test_a_page_that_brings_none_has_the_customer_told(
    guarded: GuardedLedger, visitor: Visitor, member: str
) -> None:
    visitor.expect(*REFUSED)
    guarded.sell(member, member, 12)
    page = visitor.opens(widget(member, token=""))
    page.clock.install()
    note_expiries(page)
    give(page, "no.such.token")
    until(page, "expiries.length === 1")
    expect(page.locator("[state=loading]")).to_have_count(1)

    page.clock.fast_forward(5_000)
    expect(part(page, "note")).to_contain_text("Please sign in to see your points.")
    expect(page.locator("[state=expired]")).to_have_count(1)
    page.get_by_role("button", name="Try again").click()
    page.clock.fast_forward(5_000)  # the second time it waits before it asks

    until(page, "expiries.length === 2")
    give(page, guarded.token(member))
    expect(part(page, "number")).to_have_text("12")
    expect(part(page, "note")).to_be_hidden()


def test_a_page_that_brings_bad_tokens_is_asked_ever_more_rarely(
    guarded: GuardedLedger, visitor: Visitor, member: str
) -> None:
    visitor.expect(*REFUSED)
    guarded.sell(member, member, 12)
    page = visitor.opens(widget(member, token=""))
    page.evaluate(
        """() => {
            window.asked = 0;
            const points = document.querySelector("loyalty-balance");
            points.addEventListener("loyalty-token-expired", () => {
                asked += 1;
                points.token = `bad.token.${asked}`;
            });
            points.token = "bad.token.0";
        }"""
    )
    until(page, "asked >= 2")
    page.wait_for_timeout(1_000)

    # Waits are random up to 2, 4, 8 … s: 10 in so short a time would be a storm.
    assert page.evaluate("asked") < 10
    give(page, guarded.token(member))
    expect(part(page, "number")).to_have_text("12")
