"""What the widget shows, of every state that a member can be in, in which words."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.service.client import GrpcClient
from tests.service.requests import (
    adjustment,
    clock,
    enrollment,
    hold,
    open_program,
    override,
    purchase,
    redemption,
    returned,
)
from tests.web.conftest import RULES, TIERS
from tests.web.pages import CONTENT, Visitor, part, texts, widget

LEFTWARD_TIERS: dict[str, Any] = {
    **TIERS,
    "levels": [{"id": "member", "name": "Member"}, {"id": "gold", "name": "זהב 2", "visits": 3}],
}


def buys(till: GrpcClient, member: str, amount: str = "12.99", program: str = "bean-street") -> str:
    """The purchase's number."""
    number = f"{member}-{program}-{amount}"
    till.record_purchase(purchase(number, amount, member_id=member, program_id=program))
    return number


def test_points_value_tier_and_what_goes_next(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member)

    assert texts(visitor.sees(member)) == {
        "inside": "1/3",
        "tier": "Member",
        "points": "12 points",
        "value": "worth €0.60",
        "expiry": "12 points to use by 31 January 2027",
        "reach": "2 more visits by 9 January 2027 to reach Silver",
    }


def test_a_program_without_tiers_has_no_ring(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member, "1.00", program="plain")

    page = visitor.sees(member, "plain")

    assert texts(page) == {
        "points": "1 point",
        "value": "worth €0.05",
        "expiry": "1 point to use by 31 January 2027",
    }
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_debt_is_said(till: GrpcClient, visitor: Visitor, member: str) -> None:
    bought = buys(till, member, "100.00", program="plain")
    spent = {"member_id": member, "program_id": "plain"}
    till.redeem_points(redemption(member, 80, **spent))
    till.record_return(returned(member, bought, full=True, **spent))

    shown = texts(visitor.sees(member, "plain"))

    assert shown == {
        "points": "0 points",
        "debt": "80 points owed: the next ones you earn pay them",
    }


def test_points_on_the_way_and_held_ones_are_told_apart(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member, "20.00", program="slow")
    till.adjust_points(adjustment(member, 100, member_id=member, program_id="slow"))
    till.hold_points(hold(member, 30, member_id=member, program_id="slow"))

    shown = texts(visitor.sees(member, "slow"))

    assert shown["points"] == "70 points"
    assert shown["pending"] == "20 points on the way, to use from 13 January 2026"
    assert shown["held"] == "30 points reserved"


def test_what_keeps_a_tier_is_told_with_its_days(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    open_program(till, (member,), program_id=member, **{**RULES, "tiers": TIERS})
    for day in ("10", "11", "12"):
        till.advance_clock(clock(f"2026-01-{day}T10:00:00Z", member))
        buys(till, member, f"{day}.00", program=member)

    shown = texts(visitor.sees(member, member))
    assert shown["tier"] == "Silver"
    assert shown["keep"] == "3 visits from 4 March 2026 to 31 January 2027 to keep Silver"

    till.advance_clock(clock("2026-06-01T10:00:00Z", member))
    shown = texts(visitor.sees(member, member))
    assert shown["keep"] == "3 more visits by 31 January 2027 to keep Silver"


def test_a_held_tier_says_until_when_and_the_highest_is_complete(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member)
    till.override_tier(override("gold", "2026-07-31T22:00:00Z", member_id=member))

    page = visitor.sees(member)

    shown = texts(page)
    assert (shown["tier"], shown["inside"]) == ("Gold", "★")
    assert "reach" not in shown
    assert shown["keep"] == "Gold until 31 July 2026"
    expect(part(page, "ring")).to_have_attribute("aria-valuenow", "100")


def test_progress_goes_by_the_nearer_of_two_ways(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    till.enroll_member(enrollment(member))
    till.override_tier(override("silver", "2026-07-31T22:00:00Z", member_id=member))
    buys(till, member, "600.50")

    page = visitor.sees(member)

    shown = texts(page)
    assert shown["inside"] == "60%"  # of 1,000.00; visits are 1 of 9
    assert shown["reach"] == "8 more visits or €399.50 more by 9 January 2027 to reach Gold"
    expect(part(page, "ring")).to_have_attribute("aria-valuetext", "€600.50 of €1,000.00")


def test_every_date_is_there_for_who_asks(till: GrpcClient, visitor: Visitor, member: str) -> None:
    open_program(till, (), program_id=member, **{**RULES, "tiers": TIERS})
    buys(till, member, "10.00", program=member)
    till.advance_clock(clock("2026-03-10T09:00:00Z", member))
    buys(till, member, "7.00", program=member)

    page = visitor.sees(member, member)

    expect(page.get_by_text("10 points by 31 January 2027")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(part(page, "summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("listitem")).to_have_text(
        ["10 points by 31 January 2027", "7 points by 31 March 2027"]
    )


def test_whoever_has_not_bought_yet_has_no_points_yet(visitor: Visitor, member: str) -> None:
    visitor.expect("404", "not_found: no member")

    page = visitor.opens(widget(member))

    expect(page.get_by_text("You have no points yet.")).to_be_visible()
    expect(page.locator("[state=unknown]")).to_have_count(1)


def test_nothing_stays_of_a_member_who_is_not_shown_any_more(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member, "1234.00")
    page = visitor.sees(member)
    buys(till, member, "1111.00")
    expect(page.get_by_role("status")).to_have_text("You now have 2,345 points.")
    assert "2,345" in page.eval_on_selector("loyalty-balance", CONTENT)

    page.eval_on_selector("loyalty-balance", "host => host.removeAttribute('member')")
    page.locator("[state=loading]").wait_for()

    rest = page.eval_on_selector("loyalty-balance", CONTENT)
    assert rest.strip() == "Loading your points …Try again"


def test_numbers_dates_and_words_are_those_of_the_language(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    till.enroll_member(enrollment(member))
    till.adjust_points(adjustment(member, 9_876, member_id=member))

    page = visitor.sees(member, lang="de")
    assert texts(page)["points"] == "9.876 Punkte"
    assert texts(page)["value"].replace("\xa0", " ") == "im Wert von 493,80 €"
    assert texts(page)["expiry"] == "9.876 Punkte bis 31. Januar 2027 einlösen"

    # Its own language goes before that of the page, which may change, too.
    page.evaluate("document.documentElement.lang = 'en-US'")
    expect(part(page, "expiry")).to_have_text("9,876 points to use by January 31, 2027")
    page.evaluate("document.querySelector('loyalty-balance').lang = 'de-CH'")
    expect(part(page, "points")).to_have_text(re.compile("9['’]876 Punkte"))


def test_a_page_brings_words_of_its_own(till: GrpcClient, visitor: Visitor, member: str) -> None:
    buys(till, member, "1.00", program="plain")
    page = visitor.sees(member, "plain", lang="fr")
    assert texts(page)["expiry"] == "1 point to use by 31 janvier 2027"

    page.evaluate(
        """customElements.get("loyalty-balance").addTexts("fr", {
            worth: "d’une valeur de {value}",
            expiring: {one: "{n} point à utiliser avant le {date}", other: "{n} points …"}})"""
    )
    assert texts(page)["expiry"] == "1 point à utiliser avant le 31 janvier 2027"
    assert texts(page)["points"] == "1 point"  # what it does not bring is in English
    assert page.eval_on_selector("loyalty-balance", "e => e.shadowRoot.firstChild.lang") == "fr"

    refused = page.evaluate(
        """() => { try { customElements.get("loyalty-balance").addTexts("fr", {wrth: ""}) }
                   catch (error) { return error.message } }"""
    )
    assert refused.startswith("no such text: wrth. There are: label, loading, unit, worth,")
    faulty = page.evaluate(
        """() => { try { customElements.get("loyalty-balance").addTexts("fr", {worth: {one: "1"}}) }
                   catch (error) { return error.message } }"""
    )
    assert faulty == "worth must be a text, or an object with other, one, few …"


#: the words of a part, from left to right
LEFT_TO_RIGHT = r"""part => {
    const text = part.firstChild;
    const place = ({index, 0: word}) => {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        return [range.getBoundingClientRect().left, word];
    };
    const words = [...text.data.matchAll(/[^\s\u2066-\u2069]+/g)].map(place);
    return words.sort(([one], [other]) => one - other).map(([, word]) => word).join(" ");
}"""


def test_sentences_keep_their_order_from_right_to_left(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    open_program(till, (), program_id=member, **{**RULES, "tiers": LEFTWARD_TIERS})
    buys(till, member, "10.00", program=member)
    page = visitor.sees(member, member, lang="he", viewport={"width": 2_000, "height": 600})
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync("loyalty-balance { max-inline-size: none }");
            document.adoptedStyleSheets = [sheet];
            document.documentElement.dir = "rtl";
        }"""
    )
    # There are no words in Hebrew: English ones begin at the left, on such a page, too. What is in
    # Hebrew runs the other way, and takes nothing else along.
    shown = "2 more visits by 2027 בינואר 9 to reach 2 זהב"
    assert part(page, "reach").evaluate(LEFT_TO_RIGHT) == shown

    page.evaluate(
        """customElements.get("loyalty-balance").addTexts("he", {
            visits: "עוד {n} ביקורים", reachBy: "{missing} עד {date} כדי להגיע אל {tier}"})"""
    )
    shown = "2 זהב אל להגיע כדי 2027 בינואר 9 עד ביקורים 2 עוד"
    assert part(page, "reach").evaluate(LEFT_TO_RIGHT) == shown


def test_a_page_says_in_which_time_zone_days_end(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member, program="plain")
    tokyo = {"timezone_id": "Asia/Tokyo"}
    page = visitor.sees(member, "plain", **tokyo)
    # Midnight in Berlin is 8 in the morning there.
    assert texts(page)["expiry"] == "12 points to use by 1 February 2027"

    page.eval_on_selector("loyalty-balance", "e => e.timeZone = 'Europe/Berlin'")
    assert texts(page)["expiry"] == "12 points to use by 31 January 2027"

    visitor.expect("Invalid time zone")
    page.eval_on_selector("loyalty-balance", "e => e.timeZone = 'Mars/Olympus'")
    assert texts(page)["expiry"] == "12 points to use by 1 February 2027"


def test_names_are_text_and_large_numbers_are_exact(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    name = "<img src=x onerror=alert(1)>"
    tiers = {**TIERS, "levels": [{"id": "member", "name": name}]}
    open_program(till, (member,), program_id=member, **{**RULES, "tiers": tiers})
    page = visitor.sees(member, member)
    assert texts(page)["tier"] == name

    page.route(
        "**/GetBalance",
        lambda route: route.fulfill(json={"availablePoints": "9007199254740993"}),
    )
    visitor.expect("ERR_FAILED")
    page.route("**/WatchBalance", lambda route: route.abort())
    page.reload()
    expect(part(page, "number")).to_have_text("9,007,199,254,740,993")


def test_an_answer_that_is_none_is_no_end_of_it(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    visitor.expect("unavailable: .* is no answer of the ledger")
    buys(till, member, program="plain")
    page = visitor.opens(widget(member, "plain", token=""))
    answers = ["<p>Sign in to the Wi-Fi</p>", "null"]
    page.route(
        "**/GetBalance",
        lambda route: route.fulfill(body=answers.pop(0)) if answers else route.continue_(),
    )
    page.eval_on_selector("loyalty-balance", "element => element.token = 't'")

    expect(part(page, "note")).to_contain_text("Your points can not be reached right now.")
    expect(part(page, "number")).to_have_text("12", timeout=20_000)
    assert answers == []


def test_what_a_page_sets_before_the_script_is_there_is_heeded(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    buys(till, member, program="plain")
    page = visitor.opens("")
    page.evaluate(
        """member => {
            const elsewhere = document.implementation.createHTMLDocument();
            const later = elsewhere.createElement("loyalty-balance");
            Object.assign(later, {program: "plain", member, token: "t"});
            document.adoptNode(later);
            document.body.append(later);
        }""",
        member,
    )
    page.locator("[state=ready]").wait_for()
    assert page.locator("loyalty-balance").get_attribute("token") is None  # not for all to see


def test_an_address_that_is_none_is_an_error_of_the_page(visitor: Visitor, member: str) -> None:
    visitor.expect("invalid_argument: javascript:alert.* is no address of a ledger")

    page = visitor.opens(widget(member, more='base-url="javascript:alert(1)"'))

    expect(page.get_by_text("Your points can not be shown.")).to_be_visible()
