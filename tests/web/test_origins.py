"""A browser lets pages of configured origins have the widget and call the ledger, and no others."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.service.client import GrpcClient
from tests.service.requests import purchase
from tests.web.pages import Site, Visitor, widget

ASK = """async ([ledger, member]) => {
    try {
        const response = await fetch(`${ledger}/ledger.v1.BalanceService/GetBalance`, {
            method: "POST",
            headers: {"content-type": "application/json", "authorization": "Bearer t"},
            body: JSON.stringify({programId: "bean-street", memberId: member}),
        });
        return (await response.json()).availablePoints;
    } catch (error) {
        return error.message;
    }
}"""


def test_a_page_of_a_configured_origin_may_call_it(
    till: GrpcClient, visitor: Visitor, site: Site, member: str
) -> None:
    till.record_purchase(purchase(member, "1.00", member_id=member))

    page = visitor.sees(member)

    assert page.evaluate(ASK, [site.ledger, member]) == "1"


def test_a_page_of_any_other_origin_may_not(
    till: GrpcClient, visitor: Visitor, site: Site, member: str
) -> None:
    visitor.expect("blocked by CORS policy", "ERR_FAILED")
    till.record_purchase(purchase(member, "1.00", member_id=member))

    page = visitor.opens(widget(member), other=True)

    assert page.evaluate(ASK, [site.ledger, member]) == "Failed to fetch"
    assert page.evaluate("customElements.get('loyalty-balance') === undefined")
    expect(page.locator("loyalty-balance[state]")).to_have_count(0)
