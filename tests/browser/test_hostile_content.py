"""What people may type, and what must not happen: markup in every field stays text, long words break, and a language
that is written from right to left disturbs no page.
"""

import pytest

from tests.browser.pages import Page
from tests.browser.test_every_page import TOO_WIDE

pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")

pytestmark = pytest.mark.browser

EVIL = """<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}'"""
LONG = "Fortyletterswithoutanyspaceinbetweenthem"
ARABIC = "إدارة الفواتير والمدفوعات للشركات"
KEY, SLUG = "a_key_of_forty_letters_that_never_breaks", "a-slug-of-forty-letters-that-never-break"

MAKE = f"""
from flags import apitokens, changes, companies, gatetemplates, releases, savedviews
from flags.models import Flag
from tenants.models import Company, User
EVIL, LONG, ARABIC = {EVIL!r}, {LONG!r}, {ARABIC!r}
ana = User.objects.get(email="ana.ruiz@headgate.example")
changes.create_flag({KEY!r}, name=LONG, actor=ana, reason=EVIL,
    description=((EVIL + " " + ARABIC + " ") * 60)[:4400] + "x" * 600,
    category=EVIL[:40], owner=EVIL, needs_grant=True, metadata={{EVIL: EVIL, LONG: [EVIL]}})
changes.create_flag("right_to_left", name=ARABIC, actor=ana, description=ARABIC * 20, owner=ARABIC, category=LONG)
changes.create_flag("evil_name", name=EVIL, actor=ana, reason=LONG * 5, description=LONG * 10, owner=LONG)
company = companies.create_company({SLUG!r}, EVIL, actor=ana, reason=EVIL)
companies.create_company("right-to-left", ARABIC, actor=ana, reason=ARABIC)
companies.add_member(company, "evil@evil.example", "admin", actor=ana, name=EVIL, reason=EVIL)
member = User.objects.get(email="evil@evil.example")
for key in ({KEY!r}, "right_to_left", "evil_name", "api_access"):
    changes.set_override(company, key, True, actor=ana, reason=EVIL + LONG * 4)
changes.grant(company, member, {KEY!r}, actor=ana, reason=EVIL)
apitokens.create_token(EVIL, actor=ana, scopes=["evaluate"])
savedviews.save_view(ana, "flags", EVIL[:40], EVIL)
gatetemplates.add_gate("pilot", EVIL[:80], actor=ana, reason=EVIL)
releases.start({KEY!r}, actor=ana, reason=EVIL)
changes.kill("evil_name", actor=ana, reason=EVIL)
"""
# What a page must not hold: an element made of what somebody typed.
INJECTED = """() => [...document.querySelectorAll("img, script:not([src]), [onerror]")].map((one) => one.outerHTML)"""


def flag(name: str, *args: str, query: str = "", key: str = KEY) -> Page:
    return Page(name, (f"console:{name}", key, *args), query=query)


PAGES = (
    Page("overview", ("console:overview",)),
    Page("flags", ("console:flag_list",)),
    Page(
        "flags-searched", ("console:flag_list",), query="?q=%3Cscript%3Ealert(1)%3C/script%3E%22%3E%3Cimg%20onerror%3E"
    ),
    flag("flag_detail"),
    flag("flag_detail", key="evil_name"),
    flag("flag_detail", key="right_to_left"),
    flag("flag_edit"),
    flag("flag_kill"),
    flag("flag_delete"),
    flag("flag_revive", key="evil_name"),
    flag("flag_override", SLUG),
    flag("flag_override_reset", SLUG),
    flag("release_promote"),
    flag("release_roll_back"),
    Page("releases", ("console:release_board",)),
    Page("gates", ("console:gate_list",)),
    Page("companies", ("console:company_list",)),
    Page("company", ("console:company_detail", SLUG)),
    Page("company-edit", ("console:company_edit", SLUG)),
    Page("company-features", ("console:company_features", SLUG)),
    Page("company-grant", ("console:company_grant", SLUG, KEY)),
    Page("members", ("console:company_members", SLUG)),
    Page("person", ("console:person_detail",), link=(("console:company_members", SLUG), r"/people/[0-9a-f-]{36}/")),
    Page("view-as", ("console:view_as", SLUG)),
    Page("tokens", ("console:token_list",)),
    Page("history", ("console:change_list",)),
    Page("inspector", ("console:inspector",), query=f"?company={SLUG}&flag={KEY}&open=0:{KEY}"),
    Page("control", ("console:inspector_control",), query=f"?company={SLUG}"),
    Page("palette", ("console:palette",), query="?q=script"),
    Page("drawer", ("console:flag_list",), opens=(f"#differs-{KEY}",), shows=f"#differs-{KEY}[aria-expanded=true]"),
)


@pytest.fixture(scope="module")
def hostile(demo_server):
    """The demonstration, with somebody in it who tries things."""
    demo_server.run(MAKE)
    return demo_server


def test_what_was_typed_stays_text_everywhere_and_fits(visit, hostile):
    ana = visit(hostile.account("super_admin"), at="", reduced_motion="reduce")
    problems = []
    for page in PAGES:
        ana.set_viewport_size({"width": 1280, "height": 800})
        assert page.open_in(ana) == page.status, page
        found = ana.evaluate(INJECTED)
        ana.set_viewport_size({"width": 320, "height": 640})
        found += ana.evaluate(TOO_WIDE)
        problems += [f"{page.name} {page.url}: {one[:200]}" for one in found]
    assert not problems, "\n".join(problems)


def test_it_is_shown_as_it_was_typed(visit, hostile):
    ana = visit(hostile.account("super_admin"), f"/super-admin/feature-flags/{KEY}/")
    assert ana.get_by_text(EVIL[:40]).count() >= 3
    ana.goto(f"/super-admin/companies/{SLUG}/")
    assert ana.get_by_role("heading", level=1).inner_text().startswith(EVIL)


def test_a_company_is_shown_the_same_as_text(visit, hostile):
    """The company's own page, looked at as its super admin sees it through their eyes."""
    ana = visit(hostile.account("super_admin"), f"/super-admin/companies/{SLUG}/view-as/", anew=True)
    ana.get_by_role("button", name="View as").click()
    ana.wait_for_url("**/features/**")
    assert ana.get_by_text(LONG).count() >= 1
    ana.set_viewport_size({"width": 320, "height": 640})
    assert ana.evaluate(INJECTED) + ana.evaluate(TOO_WIDE) == []
