"""Every page, in light and in dark, and in a window as narrow as a small telephone: axe finds nothing serious, nothing
scrolls sideways, nothing is cut off.
"""

import pytest

from tests.browser import pages

Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe (the extra e2e)").Axe

pytestmark = pytest.mark.browser

# Of what is wider than the window. Tables may scroll inside their frame; who cuts off on purpose says so by its class.
TOO_WIDE = """() => {
  const words = (one) => `${one.tagName.toLowerCase()}.${one.className} ${one.textContent.trim().slice(0, 40)}`;
  const found = [];
  if (document.scrollingElement.scrollWidth > innerWidth) {
    found.push(`the page scrolls sideways: ${document.scrollingElement.scrollWidth}`);
    for (const one of document.body.querySelectorAll("*")) {
      const { right } = one.getBoundingClientRect();
      if (right > innerWidth + 1 && !one.closest(".table-wrap, .tabs, .visually-hidden, [popover]"))
        found.push(`sticks out: ${words(one)}`);
    }
  }
  for (const one of document.querySelectorAll("main *, dialog[open] *")) {
    const cuts = ["hidden", "clip"].includes(getComputedStyle(one).overflowX);
    const meant = one.closest(".truncate, .visually-hidden, svg, input, select");
    if (cuts && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1 && !meant)
      found.push(`is cut off: ${words(one)}`);
  }
  return found.slice(0, 8);
}"""
# Of two that are asked for at once in the same place, the one that answers last would win, whichever was wanted.
RACES = """() => [...document.querySelectorAll("[hx-get], [hx-post]")]
  .filter((one) => !one.closest("[hx-sync]")).map((one) => one.outerHTML.slice(0, 160)).slice(0, 8)"""
CONTRAST_ONLY = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}}


def serious(shown, **options) -> list[str]:
    """Return what axe calls serious or critical, each with where it is."""
    found = Axe().run(shown, **options).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][-160:]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:4]
    ]


def serious_in_the_end(shown, **options) -> list[str]:
    """`serious`, once colours have followed a change of the scheme: a slow machine takes its time to draw them."""
    for _ in range(5):
        shown.wait_for_timeout(100)
        if not (found := serious(shown, **options)):
            return []
        shown.wait_for_timeout(500)
    return found


@pytest.mark.parametrize("page", pages.ALL, ids=lambda page: page.name)
def test_nothing_serious_in_light_and_dark_and_nothing_sideways(visit, demo_server, page):
    shown = visit(demo_server.person(page.who), at="", reduced_motion="reduce", color_scheme="light")
    assert page.open_in(shown) == page.status
    assert shown.evaluate(RACES) == [], "Nothing says what becomes of a second click (hx-sync)."
    problems = [f"light: {one}" for one in serious(shown)]
    shown.emulate_media(color_scheme="dark")
    problems += [f"dark: {one}" for one in serious_in_the_end(shown, options=CONTRAST_ONLY)]
    shown.set_viewport_size({"width": 320, "height": 640})
    problems += [f"320 px: {one}" for one in shown.evaluate(TOO_WIDE)]
    assert not problems, "\n".join(problems)
