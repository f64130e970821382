"""The widget is for everybody: who listens to it, has no mouse, sees little, or minds motion; and a
page may make it look like the rest of the shop."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.service.client import GrpcClient
from tests.service.requests import purchase, redemption, returned
from tests.web.pages import Visitor, append, part

#: WCAG 2.2 AA, for text and for what must be recognised
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0

#: every text that is seen, with its colour and that of what is behind it
COLOURS = """host => {
    const behind = (node) => {
        for (; node; node = node.parentNode ?? node.host) {
            const colour = node instanceof Element && getComputedStyle(node).backgroundColor;
            if (colour && colour !== "rgba(0, 0, 0, 0)") return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const written = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
    const own = (each) => [...each.childNodes].some(written);
    return [...host.shadowRoot.querySelectorAll("*")]
        .filter((each) => own(each) && each.checkVisibility() && !each.matches(".spoken"))
        .map((each) => [each.textContent, getComputedStyle(each).color, behind(each)]);
}"""


def luminance(colour: str) -> float:
    """Relative luminance of a computed rgb() without transparency (WCAG 2.2)."""
    found = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert found is not None, colour
    channels = (int(each) / 255 for each in found.groups())
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


def owes(till: GrpcClient, member: str) -> None:
    """Leave a member with a debt, a tier's progress and a few notes."""
    till.record_purchase(purchase(member, "100.00", member_id=member))
    till.redeem_points(redemption(member, 80, member_id=member))
    till.record_return(returned(member, member, "60.00", member_id=member))


def colour_of(page: Page, name: str, kind: str) -> str:
    script = f"each => getComputedStyle(each).{kind}"
    colour: str = part(page, name).evaluate(script)
    return colour


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_that_is_written_can_be_read(
    scheme: str, till: GrpcClient, visitor: Visitor, member: str
) -> None:
    visitor.expect("ERR_INTERNET_DISCONNECTED", "unavailable: ")
    member = f"{member}-{scheme}"
    owes(till, member)
    page = visitor.sees(member, color_scheme=scheme, reduced_motion="reduce")
    page.context.set_offline(True)
    expect(part(page, "note")).to_be_visible()

    seen = page.eval_on_selector("loyalty-balance", COLOURS)
    assert len(seen) >= 8
    faint = [each for each in seen if contrast(*each[1:]) < TEXT_CONTRAST]
    assert faint == []

    background = colour_of(page, "card", "backgroundColor")
    assert (luminance(background) < 0.1) == (scheme == "dark")
    arc, track = colour_of(page, "arc", "stroke"), colour_of(page, "track", "stroke")
    assert contrast(arc, background) >= SHAPE_CONTRAST
    assert contrast(arc, track) >= SHAPE_CONTRAST


def test_it_is_told_to_those_who_listen(till: GrpcClient, visitor: Visitor, member: str) -> None:
    till.record_purchase(purchase(member, "12.99", member_id=member))

    page = visitor.sees(member)

    expect(page.get_by_role("main")).to_match_aria_snapshot(
        """
        - main:
          - group "Loyalty points":
            - progressbar "Progress to Silver"
            - paragraph: Member
            - paragraph: 12 points
            - paragraph: worth €0.60
            - paragraph: 12 points to use by 31 January 2027
            - paragraph: 2 more visits by 9 January 2027 to reach Silver
          - status
        """
    )
    ring = page.get_by_role("progressbar")
    for name, value in {"min": "0", "max": "100", "now": "33", "text": "1 of 3 visits"}.items():
        expect(ring).to_have_attribute(f"aria-value{name}", value)
    expect(part(page, "card")).to_have_attribute("aria-busy", "false")


def test_the_keyboard_is_enough_and_keeps_its_place(
    till: GrpcClient, visitor: Visitor, member: str
) -> None:
    visitor.expect("ERR_FAILED", "unavailable: ")
    till.record_purchase(purchase(member, "12.99", member_id=member))
    page = visitor.opens("")
    page.route("**/ledger.v1.*/**", lambda route: route.abort())
    append(page, member)
    retry = page.get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Your points can not be reached right now.")

    page.keyboard.press("Tab")
    expect(retry).to_be_focused()
    assert retry.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    page.unroute_all()
    page.keyboard.press("Enter")

    expect(part(page, "number")).to_have_text("12")
    expect(retry).to_be_hidden()
    assert page.evaluate("document.activeElement.localName") == "loyalty-balance"


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_those_who_mind(
    motion: str, moves: bool, till: GrpcClient, visitor: Visitor, member: str
) -> None:
    member = f"{member}-{motion}"
    till.record_purchase(purchase(member, "1.00", member_id=member))
    page = visitor.sees(member, reduced_motion=motion)

    till.record_purchase(purchase(f"{member}-2", "1.00", member_id=member))

    expect(part(page, "number")).to_have_class(re.compile("changed"))
    how = (
        "each => [getComputedStyle(each).animationName, getComputedStyle(each).transitionDuration]"
    )
    assert (part(page, "number").evaluate(how)[0] != "none") == moves
    assert (part(page, "arc").evaluate(how)[1] != "0s") == moves


def test_a_page_makes_it_its_own(till: GrpcClient, visitor: Visitor, member: str) -> None:
    till.record_purchase(purchase(member, "1.00", member_id=member))
    page = visitor.sees(member)

    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`
                loyalty-balance {
                    --loyalty-accent: rgb(1, 2, 3);
                    --loyalty-background: rgb(4, 5, 6);
                    --loyalty-radius: 7px;
                }
                loyalty-balance::part(tier) { text-transform: uppercase; }
                loyalty-balance[state=ready] { opacity: 0.5; }`);
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    assert colour_of(page, "arc", "stroke") == colour_of(page, "tier", "color") == "rgb(1, 2, 3)"
    assert colour_of(page, "card", "backgroundColor") == "rgb(4, 5, 6)"
    assert colour_of(page, "card", "borderTopLeftRadius") == "7px"
    assert colour_of(page, "tier", "textTransform") == "uppercase"
    assert page.eval_on_selector("loyalty-balance", "e => getComputedStyle(e).opacity") == "0.5"


@pytest.mark.parametrize("width", [200, 320])
def test_it_fits_where_there_is_little_room(
    width: int, till: GrpcClient, visitor: Visitor, member: str
) -> None:
    member = f"{member}-{width}"
    owes(till, member)

    page = visitor.sees(member, lang="de", viewport={"width": width, "height": 600})

    # 320 CSS pixels are what WCAG asks for (1.4.10).
    assert page.evaluate("document.documentElement.scrollWidth") <= width
