"""The example shop of deploy/shop, with its page in a browser, against a ledger that asks for
credentials."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from tests.conftest import fresh_database
from tests.faults.processes import free_port
from tests.service.client import Failure
from tests.web.conftest import RULES, TIERS
from tests.web.credentials import GuardedLedger, guarded_ledger
from tests.web.pages import part, until
from tests.web.shop import open_shop

MEMBER = "customer-7"


@pytest.fixture(scope="module")
def shop(
    cluster: EmbeddedServer,
    administrator: Connection,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, GuardedLedger]]:
    """The address of a shop with one customer, and its ledger."""
    port, directory = free_port(), tmp_path_factory.mktemp("shop")
    rules = {"tiers": TIERS, **RULES}
    origins = (f"http://127.0.0.1:{port}",)
    with (
        fresh_database(cluster, administrator, template) as url,
        guarded_ledger(url, directory, rules, web_origins=origins) as ledger,
    ):
        (directory / "shop.key").write_text(ledger.shop_key + "\n")
        place = ["--port", str(port), "--ledger", ledger.url]
        who = ["--api-key-file", "shop.key", "--member", MEMBER]
        with open_shop([*place, *who], directory) as address:
            yield address, ledger


@pytest.fixture
def guarded(shop: tuple[str, GuardedLedger]) -> GuardedLedger:
    return shop[1]


@pytest.fixture
def page(browser: Browser, shop: tuple[str, GuardedLedger]) -> Iterator[Page]:
    """The shop's page, of which nothing may complain."""
    complaints: list[str] = []
    context = browser.new_context(timezone_id="Europe/Berlin", base_url=shop[0])
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with page.expect_response("**/WatchBalance"):
        page.goto("/")
    yield page
    context.close()
    assert not complaints, complaints


def test_a_customer_sees_the_points_move(guarded: GuardedLedger, page: Page) -> None:
    # A customer who has never bought anything was enrolled by asking for a token.
    number = part(page, "number")
    before = int(number.inner_text())

    page.get_by_role("button", name="Buy a roast").click()

    expect(page.locator("#receipt")).to_contain_text("+12 points (12 base).")
    expect(number).to_have_text(f"{before + 12}")
    expect(part(page, "inside")).to_have_text("1/3")

    # The same customer at the till, with the page open.
    page.evaluate(
        """() => addEventListener("loyalty-balance-changed", () => (window.moved = Date.now()))"""
    )
    began = time.time()
    guarded.sell(MEMBER, "at-the-till", 5)
    until(page, "window.moved")
    assert page.evaluate("moved") / 1_000 - began < 1
    expect(number).to_have_text(f"{before + 17}")


@pytest.mark.parametrize("width", [280, 360])
def test_the_page_fits_on_a_telephone(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_the_page_holds_is_good_for_reading_only(guarded: GuardedLedger, page: Page) -> None:
    token = page.eval_on_selector("loyalty-balance", "element => element.token")

    assert guarded.call("BalanceService/GetBalance", token, memberId=MEMBER)["version"]
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        guarded.call("BalanceService/GetBalance", token, memberId="somebody-else")
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        guarded.call("RedemptionService/RedeemPoints", token, memberId=MEMBER, requestId="r")

    sent = [page.request.get(path).text() for path in ("/", "/shop.js", "/shop.css")]
    assert not any(guarded.shop_key in text for text in [*sent, token])


def test_another_site_can_not_order_for_the_customer(page: Page) -> None:
    # What a form of another site can send, cookies and all.
    sent = page.request.post("/orders", form={"order": "x", "article": "grinder"})
    assert sent.status == 415


def test_an_order_that_is_sent_twice_is_one_order(page: Page) -> None:
    buy = """async (order) => {
        const headers = {"content-type": "application/json"};
        const body = JSON.stringify({order, article: "grinder"});
        const answer = await fetch("/orders", {method: "POST", headers, body});
        return [answer.status, (await answer.json()).messages?.[0]];
    }"""
    order = "0f8fad5b-d9cb-469f-a165-70867728950e"

    before = int(part(page, "number").inner_text())

    first, again = page.evaluate(buy, order), page.evaluate(buy, order)

    assert first == again == [200, "+119 points (119 base)."]
    expect(part(page, "number")).to_have_text(f"{before + 119}")
