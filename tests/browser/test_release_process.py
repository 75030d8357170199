"""The process of seed 001 in a browser: created disabled and internal only, past its gates to pilot and to everybody,
and each of the three ways back. After every step a person of each channel asks what they have, in a browser of theirs.
"""

import re
from collections.abc import Callable

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
NOBODY, INTERNAL, PILOT, ALL = [False] * 3, [True, False, False], [True, True, False], [True] * 3


@pytest.fixture
def people(visit, demo_server) -> Callable[[str], list[bool]]:
    """Return a function that asks for a flag as a person of an internal, a pilot and a general company."""
    who = [demo_server.account("admin", slug) for slug in ("default-tenant", "talbi-logistics-llc", "kestrel-express")]
    pages = [visit(account, at="") for account in who]

    def ask(key: str) -> list[bool]:
        answers = [page.request.get(f"/api/features/{key}") for page in pages]
        assert [answer.status for answer in answers] == [200] * 3
        return [answer.json()["enabled"] for answer in answers]

    return ask


class Story:
    """One flag's way, as a super admin steers it from the flag's page."""

    def __init__(self, page, server, key: str, name: str) -> None:
        self.page, self.server, self.key, self.name = page, server, key, name

    def open(self) -> None:
        self.page.goto(f"/super-admin/feature-flags/{self.key}/")

    def click(self, role: str, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role(role, name=name).first.click()

    def drawer(self, title: str):
        """The drawer of this title, which has just been opened."""
        found = self.page.get_by_role("region", name=title)
        expect(found).to_be_visible()
        return found

    def sign_off_all(self) -> None:
        """Give one's word for every gate that takes it, one after the other."""
        self.open()
        while (waiting := self.page.get_by_role("link", name=re.compile(r"^Sign off…"))).count():
            left = waiting.count()
            waiting.first.click()
            drawer = self.page.get_by_role("region", name=re.compile(r"^Sign off “"))
            drawer.get_by_label("Note").fill("Looked at it")
            drawer.get_by_role("button", name="Sign off").click()
            expect(waiting).to_have_count(left - 1)

    def run_audit(self) -> None:
        self.open()
        self.click("link", "Run the audit")
        self.click("button", "Run the audit")
        expect(self.page.get_by_role("heading", name="Passed")).to_be_visible()
        if self.page.get_by_text("This run is not complete").count():
            # SQLite has no row-level security to look at, so no audit of it is evidence. One of PostgreSQL stands in.
            self.server.run(
                "from django.utils import timezone; from flags.releasemodels import IsolationAudit; "
                "IsolationAudit.objects.create(at=timezone.now(), mode='both', by_name='x', passed=True, complete=True)"
            )

    def wait_for(self, words: str) -> None:
        """Load the flag's page until it says so."""
        for _ in range(60):
            self.open()
            if self.page.get_by_text(words).count():
                return
            self.page.wait_for_timeout(300)
        expect(self.page.get_by_text(words)).to_be_visible()

    def promote_to(self, channel: str) -> None:
        self.open()
        self.click("link", re.compile(rf"^Promote to {channel}…"))
        drawer = self.drawer(f"Promote {self.name} to {channel}?")
        drawer.get_by_role("button", name=re.compile(rf"^Promote to {channel} for \d+ compan")).click()
        expect(self.page.get_by_text(re.compile(rf"In {channel} since"))).to_be_visible()

    def is_refused(self, channel: str, gates: str) -> None:
        """There is no way on but force, and the drawer says which gates are open."""
        self.open()
        self.click("link", re.compile(rf"^Promote to {channel}…"))
        drawer = self.drawer(f"Promote {self.name} to {channel}?")
        expect(drawer).to_contain_text(gates)
        expect(drawer.get_by_role("button", name=re.compile(r"^Promote to"))).to_have_count(0)
        expect(drawer.get_by_role("button", name=re.compile(r"^Force to"))).to_be_visible()

    def age(self, **by: int) -> None:
        """Let the flag have been in its channel for longer: a browser cannot wait a week, and the server's clock is
        nobody's to move. What is aged is the row that the soak is counted from, and nothing else.
        """
        self.server.run(
            "from datetime import timedelta; from django.db.models import F; from flags.releasemodels import Release; "
            f"Release.objects.filter(flag={self.key!r}).update(entered_at=F('entered_at') - timedelta(**{by!r}))"
        )


def key_of(name: str, scripts: bool) -> str:
    return f"{name}_{'scripted' if scripts else 'plain'}"


@BOTH
def test_from_created_disabled_to_everybody(visit, demo_server, people, scripts):
    ana = visit(demo_server.account("super_admin"), java_script_enabled=scripts)
    key = key_of("route_planning", scripts)
    story = Story(ana, demo_server, key, "Route Planning")

    # Always start disabled.
    ana.goto("/super-admin/feature-flags/new/")
    ana.get_by_role("textbox", name="Key").fill(key)
    ana.get_by_role("textbox", name="Name").fill("Route Planning")
    ana.get_by_role("button", name="Create flag").click()
    expect(ana.get_by_role("heading", level=1)).to_contain_text("Route Planning")
    assert people(key) == NOBODY

    # Internal only.
    story.click("link", "Start a release…")
    story.drawer("Start the release of Route Planning?").get_by_role("button", name="Start in Internal").click()
    expect(ana.get_by_text("In Internal since")).to_be_visible()
    assert people(key) == INTERNAL

    # Gates: people's words, use without errors (somebody just used it), and the audit.
    story.is_refused("Pilot", "gates are open")
    story.sign_off_all()
    story.is_refused("Pilot", "Isolation audit passed since entry")
    story.run_audit()
    story.wait_for("Ready for Pilot: every gate holds")
    assert people(key) == INTERNAL
    story.promote_to("Pilot")
    assert people(key) == PILOT

    # A week of soak; nothing else stands in the way, and it says until when.
    story.sign_off_all()
    story.run_audit()
    story.age(days=6, hours=23)
    story.is_refused("General", "of soak left")
    assert people(key) == PILOT
    story.age(hours=1)
    story.wait_for("Ready for General: every gate holds")
    story.promote_to("General")
    assert people(key) == ALL

    story.click("link", re.compile(r"^Finish…"))
    story.drawer("Finish the release of Route Planning?").get_by_role("button", name="Finish the release").click()
    expect(ana.get_by_text("No release is under way, so")).to_be_visible()
    assert people(key) == ALL

    # The story of it stays, and none of it was forced.
    ana.goto(f"/super-admin/changes/?flag={key}")
    said = ana.get_by_role("main")
    expect(said).to_contain_text(re.compile(r"promoted\s+Route Planning\s+to the general channel"))
    expect(said).not_to_contain_text("forced")


@pytest.fixture
def in_pilot(visit, demo_server):
    """Return a function that puts a new flag in pilot, past its gates, and gives its story on its page."""

    def put(name: str, scripts: bool) -> Story:
        key = key_of(name, scripts)
        title = name.replace("_", " ").title()
        demo_server.run(
            "from flags import changes, releases; from tenants.models import User; "
            "ana = User.objects.filter(is_superuser=True).order_by('email').first(); "
            f"changes.create_flag({key!r}, name={title!r}, actor=ana); releases.start({key!r}, actor=ana); "
            f"releases.promote({key!r}, actor=ana, force=True, reason='to try the way back')"
        )
        story = Story(visit(demo_server.account("super_admin"), java_script_enabled=scripts), demo_server, key, title)
        story.open()
        return story

    return put


@BOTH
def test_killed_for_everybody_and_revived(in_pilot, people, scripts):
    story = in_pilot("load_matching", scripts)
    assert people(story.key) == PILOT
    assert story.page.request.get(f"/api/features/{story.key}").json()["enabled"]
    story.click("link", "Kill…")
    drawer = story.drawer("Kill Load Matching for everybody?")
    drawer.get_by_label("Reason").fill("Wrong loads")
    drawer.get_by_role("button", name=re.compile("^Kill for")).click()
    expect(story.page.get_by_text("Wrong loads").first).to_be_visible()
    assert people(story.key) == NOBODY
    assert not story.page.request.get(f"/api/features/{story.key}").json()["enabled"]
    story.click("link", "Revive…")
    drawer = story.drawer("Revive Load Matching?")
    drawer.get_by_label("Reason").fill("Right loads")
    drawer.get_by_role("button", name=re.compile("^Revive")).click()
    expect(story.page.get_by_role("link", name="Kill…")).to_be_visible()
    assert people(story.key) == PILOT


@BOTH
def test_a_channel_rolled_back_and_then_all(in_pilot, people, scripts):
    story = in_pilot("dock_booking", scripts)
    story.click("link", re.compile("^Roll back…"))
    drawer = story.drawer("Roll Dock Booking back?")
    drawer.get_by_label("Reason").fill("Tickets")
    drawer.get_by_role("button", name=re.compile("^Roll back to Internal")).click()
    expect(story.page.get_by_text("In Internal since")).to_be_visible()
    assert people(story.key) == INTERNAL
    story.is_refused("Pilot", "gates are open")
    story.open()
    story.click("link", re.compile("^Roll back…"))
    drawer = story.drawer("Roll Dock Booking back?")
    drawer.get_by_label("Reason").fill("Not wanted")
    drawer.get_by_role("button", name=re.compile("^Take out of all channels")).click()
    expect(story.page.get_by_text("No release is under way, so")).to_be_visible()
    assert people(story.key) == NOBODY


@BOTH
def test_taken_from_one_company_and_given_back_as_one(in_pilot, people, scripts):
    story = in_pilot("toll_costs", scripts)
    if not scripts:
        story.click("link", "Show the companies")  # Which come by themselves with scripts.
    story.page.get_by_label("Choose Talbi Logistics LLC").check()
    story.click("button", "Take from chosen companies…")
    drawer = story.drawer("Take Toll Costs from Talbi Logistics LLC?")
    drawer.get_by_label("Reason").fill("Tickets")
    drawer.get_by_role("button", name="Turn off for 1 company by override").click()
    expect(story.page.get_by_role("region", name="Overrides of Toll Costs")).to_contain_text("Talbi Logistics LLC")
    assert people(story.key) == INTERNAL
    story.click("button", "Undo")
    expect(story.page.get_by_text("No company differs")).to_be_visible()
    assert people(story.key) == PILOT
