"""Moving many companies, granting to many people, and changing many flags, at the console."""

import re

import pytest

from flags import bulk, releases
from flags.batchmodels import Batch
from flags.models import ChannelDefault, Flag, Grant, Override
from tenants.models import Company
from tests.factories import CompanyFactory, MembershipFactory
from tests.flags.console.browsing import said_by, text_of
from tests.flags.console.test_bulk_companies import confirmed

pytestmark = pytest.mark.django_db
COMPANIES = "/super-admin/bulk/companies/"
FLAGS = "/super-admin/bulk/flags/"


def begun(browser, url, page, **more):
    """Confirm what a page shows, take its first step, and return the batch with what its page says."""
    answer = browser.post(url, confirmed(page.content.decode()) | more)
    assert answer.status_code == 302, text_of(answer)
    shown = browser.post(answer["Location"], follow=True)
    return Batch.objects.latest("created_at"), shown


def taken_back(browser, shown):
    undo = re.search(r'href="([^"]+/revert/)"', shown.content.decode())[1]
    asked = browser.get(undo, follow=True)
    form = asked.content.decode()
    address = asked.redirect_chain[-1][0] if asked.redirect_chain else undo
    data = dict(re.findall(r'<input type="hidden" name="(expected|batch)" value="([^"]*)"', form))
    answer = browser.post(address, data | {"reason": "wrong"})
    assert answer.status_code == 302, text_of(answer)
    return asked, browser.post(answer["Location"], follow=True)


def test_many_are_moved_with_the_impact_first_and_moved_back(alices, acme, globex):
    ChannelDefault.objects.update_or_create(flag_id="api_access", channel_id="pilot", defaults={"enabled": True})
    third = CompanyFactory(name="Initech", slug="initech")
    page = alices.get(COMPANIES, {"what": "move", "q": "", "channel": "pilot"})
    assert "Moves 2 companies of 3; the others are there already." in text_of(page)
    assert re.search(r"API Access for 2 companies ?: Acme, Initech", text_of(page)), text_of(page)[600:1500]
    assert "Move 3 companies to Pilot" in text_of(page)
    batch, shown = begun(alices, COMPANIES, page)
    assert (batch.changed_count, batch.unchanged) == (2, ["Globex"])
    assert "Move to Pilot" in text_of(shown)
    assert "Done: 3 companies" in text_of(shown)
    assert set(Company.objects.values_list("channel", flat=True)) == {"pilot"}
    Company.objects.filter(pk=third.pk).update(channel="internal")
    asked, back = taken_back(alices, shown)
    assert "Takes back 2 changes" in text_of(asked)
    assert "Back to General Moves 1 company" in text_of(asked)
    assert re.search(r"API Access for 1 company ?: Acme", text_of(asked))
    assert "Somebody changed this again since" in text_of(back)
    assert dict(Company.objects.values_list("slug", "channel")) == {
        "acme": "general",
        "globex": "pilot",
        "initech": "internal",
    }
    history = said_by(alices.get("/super-admin/changes/"))
    assert "moved 2 companies to the pilot channel at once" in history
    assert "took back a batch of 1 change" in history


def test_the_same_choice_can_be_put_to_another_use(alices, acme, globex):
    page = alices.get(COMPANIES, {"chosen": "on", "company": ["globex"]}).content.decode()
    for what in ("override", "move", "grant"):
        assert f'href="{COMPANIES}?chosen=on&amp;company=globex&amp;what={what}"' in page


def test_people_of_a_role_are_granted(alices, acme, globex):
    Flag.objects.filter(key="api_access").update(needs_grant=True)
    admins = [MembershipFactory(company=company, role="admin").user for company in (acme, globex)]
    MembershipFactory(company=acme, role="member")
    asked = {"what": "grant", "flag": "api_access", "deed": "grant", "role": "admin", "expires_at": "2099-01-01T10:00"}
    page = alices.get(COMPANIES, asked)
    many = len(bulk.members([acme.pk, globex.pk], "admin"))
    assert f"Grants API Access to {many} people of 2 companies" in text_of(page)
    batch, shown = begun(alices, COMPANIES, page, reason="trial")
    assert batch.changed_count == many == Grant.objects.filter(reason="trial", expires_at__year=2099).count()
    assert {admin.pk for admin in admins} <= set(Grant.objects.values_list("user", flat=True))
    assert f"{admins[0]}" in shown.content.decode() or admins[0].email in shown.content.decode()
    asked, back = taken_back(alices, shown)
    assert f"The grant of API Access ends for {many} :" in text_of(asked)
    assert f"{admins[0].email} (Acme)" in text_of(asked)
    assert f"Done: {many} changes" in text_of(back)
    assert not Grant.objects.exists()


def test_only_flags_that_need_a_grant_are_offered_for_one(alices, acme):
    page = alices.get(COMPANIES, {"what": "grant"}).content.decode()
    assert '<option value="api_access"' not in page
    refused = alices.post(
        COMPANIES,
        {"what": "grant", "flag": "api_access", "deed": "grant", "batch": "5f1fbd9e-1f4f-4a53-9f0a-3b1c3b6a7f10"},
    )
    assert refused.status_code in (200, 422)
    assert not Batch.objects.exists()


def test_nobody_with_the_role_is_told(alices, globex):
    Flag.objects.filter(key="api_access").update(needs_grant=True)
    page = alices.get(
        COMPANIES, {"what": "grant", "q": "globex", "flag": "api_access", "deed": "grant", "role": "coordinator"}
    )
    assert "Nobody of these companies has this role." in text_of(page)
    assert "bulk-confirm" not in page.content.decode()


def test_the_list_of_flags_offers_those_ticked_and_all_that_match(alices):
    page = alices.get("/super-admin/feature-flags/", {"q": "api_access"}).content.decode()
    assert 'name="flag" value="api_access" form="bulk" aria-label="Choose API Access"' in page
    assert f'href="{FLAGS}?q=api_access">Change the one' in page


def test_flags_are_overridden_for_one_company_and_taken_back(alices, acme):
    asked = {"chosen": "on", "flag": ["api_access", "inspector"], "company": "Acme", "deed": "turn_on"}
    page = alices.get(FLAGS, asked)
    assert "Turn 2 flags on for Acme" in text_of(page)
    assert re.search(r"Turns [12] features? on for Acme", text_of(page))
    batch, shown = begun(alices, FLAGS, page)
    assert (batch.of, batch.changed_count) == ("flags", 2)
    assert "API Access" in text_of(shown)
    undo = re.search(r'href="([^"]+/revert/)"', shown.content.decode())[1]
    assert alices.get(undo).status_code == 200
    alices.post(undo, {"reason": ""})
    assert not Override.objects.exists()


def test_a_channels_answer_is_set_for_all_that_match_but_for_those_whose_gates_are_open(alices, alice):
    releases.start("api_access", actor=alice)
    page = alices.get(
        FLAGS,
        {
            "what": "channel",
            "chosen": "on",
            "flag": ["api_access", "inspector"],
            "channel": "pilot",
            "deed": "channel_on",
            "percentage": "50",
        },
    )
    assert "Turn 2 flags on in Pilot" in text_of(page)
    batch, shown = begun(alices, FLAGS, page)
    assert (batch.changed_count, batch.refused_count) == (1, 1)
    assert "API Access cannot go to Pilot yet" in text_of(shown)
    assert ChannelDefault.objects.get(flag="inspector", channel="pilot").percentage == 50


@pytest.mark.parametrize(
    ("url", "asked", "words"),
    [
        (FLAGS, {"chosen": "on"}, "No flag is ticked."),
        (FLAGS, {"flag": ["nothing"], "chosen": "on"}, "There is no flag nothing any more."),
        (FLAGS, {"company": "nobody", "deed": "turn_on"}, "There is no such company."),
        (FLAGS, {"what": "channel", "channel": "x", "deed": "channel_on"}, "There is no such channel."),
        (
            FLAGS,
            {"what": "channel", "channel": "pilot", "deed": "channel_on", "percentage": "101"},
            "A whole number from 0 to 100.",
        ),
        (FLAGS, {"q": "is:kiled"}, "“kiled”"),
        (COMPANIES, {"what": "move", "channel": "x"}, "There is no such channel."),
        (FLAGS, {"what": "channel", "channel": "pilot", "deed": "dance"}, "Select a valid choice."),
    ],
)
def test_what_is_not_understood_changes_nothing(alices, acme, url, asked, words):
    page = alices.get(url, asked)
    assert page.status_code == 422
    assert words in text_of(page)
    markup = page.content.decode()
    for described in re.findall(r'aria-invalid="true" aria-describedby="([^"]+)"', markup):
        assert words in re.search(rf'<div id="{described}">(.*?)</div>', markup, re.DOTALL)[1]
    assert ("aria-invalid" in markup) == (set(asked) <= {"what", "channel", "deed", "percentage", "company"})
    alices.post(url, asked | {"batch": "5f1fbd9e-1f4f-4a53-9f0a-3b1c3b6a7f10"})
    assert not Batch.objects.exists()


def test_a_reason_that_is_missing_is_said_beside_its_field(alices, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    page = alices.get(COMPANIES, {"what": "move", "q": "", "channel": "pilot"})
    refused = alices.post(COMPANIES, confirmed(page.content.decode()))
    assert refused.status_code == 422
    assert 'aria-describedby="bulk-reason-error"' in refused.content.decode()
    assert "Say why." in re.search(r'id="bulk-reason-error">(.*?)</div>', refused.content.decode(), re.DOTALL)[1]


def test_more_refusals_than_are_listed_are_counted(alices, alice, acme):
    page = alices.get(COMPANIES, {"what": "move", "q": "", "channel": "pilot"})
    batch, _ = begun(alices, COMPANIES, page)
    Batch.objects.filter(pk=batch.pk).update(refused_count=207, refused=[["Acme", "gone"]] * 200)
    assert "and 7 more" in text_of(alices.get(f"/super-admin/batches/{batch.pk}/"))


def test_an_unknown_batch_cannot_be_taken_back(alices):
    assert alices.get("/super-admin/batches/5f1fbd9e-1f4f-4a53-9f0a-3b1c3b6a7f10/undo/").status_code == 404


def place(answer):
    """Return where the sidebar says that a page belongs."""
    return re.findall(r'class="nav-item" href="([^"]+)"[^>]* aria-current="(?:page|true)"', answer.content.decode())


def test_the_sidebar_says_where_a_change_of_many_belongs(alices, acme):
    assert place(alices.get(FLAGS)) == ["/super-admin/feature-flags/"]
    page = alices.get(COMPANIES, {"what": "override", "q": "", "flag": "api_access", "deed": "turn_on"})
    assert place(page) == ["/super-admin/companies/"]
    batch, shown = begun(alices, COMPANIES, page)
    assert place(shown) == ["/super-admin/companies/"]
    Batch.objects.filter(pk=batch.pk).update(of=Batch.Subject.FLAGS)
    assert place(alices.get(f"/super-admin/batches/{batch.pk}/")) == ["/super-admin/feature-flags/"]
    asked, _ = taken_back(alices, shown)
    assert place(asked) == ["/super-admin/changes/"]
