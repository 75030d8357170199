"""A company's people: found, added with an invitation, given roles, removed."""

import re

import pytest
from django.core import mail

from flags import companies
from flags.models import Change, Grant
from tenants.models import Membership, Role, User
from tests.factories import GrantFactory, MembershipFactory, UserFactory
from tests.flags.console.browsing import HTMX, said_by, seen_in, text_of

pytestmark = pytest.mark.django_db
PEOPLE = "/super-admin/companies/acme/members/"
NORA = {"email": "Nora@acme.example", "role": "coordinator"}


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Return a function that does something, and then what waits for the commit."""

    def doing(act):
        with django_capture_on_commit_callbacks(execute=True):
            return act()

    return doing


def emails(response) -> list[str]:
    return re.findall(r'<span class="cell-note">([^<]+@[^<]+)</span>', response.content.decode())


def role_of(user: User) -> str:
    return Membership.objects.get(user=user).role


# The list


def test_people_are_listed_with_role_and_grants(alices, acme, bob, dan, carol):
    GrantFactory(company=acme, user=dan, flag__name="Route Optimizer")
    page = text_of(alices.get(PEOPLE))
    assert "Bob bob@acme.example Admin None" in page
    assert "Dan dan@acme.example Member Route Optimizer" in page
    assert "carol" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["bob@acme.example", "cora@acme.example", "dan@acme.example"]),
        ({"q": "COR"}, ["cora@acme.example"]),
        ({"q": "dan@"}, ["dan@acme.example"]),
        ({"role": "admin"}, ["bob@acme.example"]),
        ({"role": "nonsense"}, ["bob@acme.example", "cora@acme.example", "dan@acme.example"]),
        ({"flag": "route_optimizer"}, ["dan@acme.example"]),
        ({"q": "carol"}, []),
    ],
)
def test_the_address_filters(alices, acme, bob, cora, dan, carol, query, found):
    GrantFactory(company=acme, user=dan, flag__key="route_optimizer")
    assert emails(alices.get(PEOPLE, query)) == found


def test_nobody_found_and_nobody_there_are_two_things(alices, acme):
    assert "Nobody yet" in text_of(alices.get(PEOPLE))
    assert "Nobody matches" in text_of(alices.get(PEOPLE, {"q": "parrot"}))


def test_htmx_gets_the_list_alone(alices, acme, bob):
    assert alices.get(PEOPLE, {"q": "b"}, headers=HTMX).content.decode().lstrip().startswith('<div id="members"')


def test_pages_follow_each_other_without_gaps(alices, acme):
    for number in range(70):
        MembershipFactory(company=acme, user=UserFactory(email=f"p{number:02}@acme.example", name=f"P{number:02}"))
    first = alices.get(PEOPLE)
    following = re.search(r'rel="next" href="([^"]+)"', first.content.decode())[1].replace("&amp;", "&")
    assert emails(first) + emails(alices.get(following)) == [f"p{number:02}@acme.example" for number in range(70)]


@pytest.mark.parametrize("number", [2, 40])
def test_the_queries_do_not_grow(alices, acme, django_assert_max_num_queries, number):
    for _ in range(number):
        GrantFactory(company=acme)
    with django_assert_max_num_queries(8):
        alices.get(PEOPLE)


# Adding


def test_somebody_new_is_added_and_gets_a_link(alices, acme, committed, client):
    response = committed(lambda: alices.post(PEOPLE, NORA))
    assert (response.status_code, response["Location"]) == (302, PEOPLE)
    nora = User.objects.get(email="nora@acme.example")
    assert role_of(nora) == Role.COORDINATOR
    assert Change.objects.values_list("verb", "via").get() == ("add_member", "console")
    [message] = mail.outbox
    assert (message.to, message.subject) == (["nora@acme.example"], "Alice invites you to Acme")
    [link] = re.findall(r"http://testserver(/invitation/\S+)", message.body)
    page = client.get(link)
    assert "nora@acme.example" in text_of(page)
    assert "Invited" in text_of(alices.get(PEOPLE))


def test_who_is_known_elsewhere_is_told_and_not_reset(alices, acme, carol, committed):
    committed(lambda: alices.post(PEOPLE, {"email": carol.email, "role": "member"}))
    [message] = mail.outbox
    assert "/login/" in message.body
    assert "/invitation/" not in message.body
    assert "Home is elsewhere" in text_of(alices.get(PEOPLE))


def test_who_belongs_already_gets_another_role_and_no_message(alices, acme, dan, committed):
    committed(lambda: alices.post(PEOPLE, {"email": "DAN@acme.example", "role": "coordinator"}))
    assert role_of(dan) == Role.COORDINATOR
    assert Membership.objects.count() == 1
    assert mail.outbox == []


def test_under_htmx_the_list_comes_back_with_them_in_it(alices, acme):
    response = alices.post(PEOPLE, NORA, headers=HTMX)
    assert response["HX-Retarget"] == "#members"
    assert "nora@acme.example" in text_of(response)
    assert "Added nora@acme.example to Acme as coordinator" in response["HX-Trigger"]


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"email": "nora"}, "Enter a valid email address."),
        ({"email": ""}, "This field is required."),
        ({"role": "emperor"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_and_nobody_is_added_or_written_to(alices, acme, committed, typed, complaint):
    for headers in ({}, HTMX):
        response = committed(lambda headers=headers: alices.post(PEOPLE, {**NORA, **typed}, headers=headers))
        assert response.status_code == 422
        assert complaint in text_of(response)
    if "email" not in typed:
        assert 'value="Nora@acme.example"' in response.content.decode()
    assert not Membership.objects.exists()
    assert mail.outbox == []


def test_a_missing_reason_is_asked_for(alices, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    refused = alices.post(PEOPLE, NORA)
    assert refused.status_code == 422
    assert "A reason is required" in text_of(refused)
    assert 'name="reason"' in refused.content.decode()


def test_a_reason_is_still_asked_for_in_a_list_that_was_redrawn(alices, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    added = alices.post(PEOPLE, NORA | {"reason": "joins"}, headers=HTMX)
    assert "nora@acme.example" in text_of(added)
    assert 'name="reason"' in added.content.decode()


def test_what_a_filter_finds_is_read_out(alices, acme, bob, dan):
    assert '"1 person"' in alices.get(PEOPLE, {"role": "admin"}, headers=HTMX)["HX-Trigger"]
    assert '"0 people"' in alices.get(PEOPLE, {"q": "nobody"}, headers=HTMX)["HX-Trigger"]


def test_an_invitation_can_be_sent_again_and_the_first_one_still_works(alices, acme, committed):
    alices.post(PEOPLE, NORA)
    nora = User.objects.get(email="nora@acme.example")
    response = committed(lambda: alices.post(f"{PEOPLE}{nora.pk}/invite/", headers=HTMX))
    assert response.content.decode().lstrip().startswith(f'<tbody id="member-{nora.pk}"')
    assert "Sent another link to nora@acme.example." in response["HX-Trigger"]
    assert len(mail.outbox) == 1
    assert committed(lambda: alices.post(f"{PEOPLE}{nora.pk}/invite/")).status_code == 302


# Roles


def test_a_role_is_changed_in_the_row(alices, acme, bob, dan):
    drawer = alices.get(f"{PEOPLE}{dan.pk}/role/", headers=HTMX).content.decode()
    assert re.findall(r'name="role" value="(\w+)"[^>]* checked', drawer) == ["member"]
    response = alices.post(f"{PEOPLE}{dan.pk}/role/", {"role": "coordinator"}, headers=HTMX)
    assert response["HX-Retarget"] == f"#member-{dan.pk}"
    assert "Coordinator" in text_of(response)
    assert role_of(dan) == Role.COORDINATOR
    assert Change.objects.values_list("verb", "before", "after").get() == (
        "set_role",
        {"user": dan.email, "role": "member"},
        {"user": dan.email, "role": "coordinator"},
    )


def test_without_scripts_a_role_is_changed_on_a_page(alices, acme, dan):
    here = f"{PEOPLE}?role=member"
    page = alices.get(f"{PEOPLE}{dan.pk}/role/?next={here}").content.decode()
    assert "<html" in page
    assert f'name="next" value="{here}"' in page
    done = alices.post(f"{PEOPLE}{dan.pk}/role/", {"role": "admin", "next": here})
    assert (done.status_code, done["Location"]) == (302, here)
    assert role_of(dan) == Role.ADMIN


def test_a_role_that_somebody_else_changed_meanwhile_is_told(alices, alice, acme, dan):
    url = f"{PEOPLE}{dan.pk}/role/"
    seen = seen_in(alices.get(url, headers=HTMX))
    companies.add_member(acme, dan.email, "admin", actor=alice)
    told = alices.post(url, {"role": "coordinator", "reason": "by me", "seen": seen}, headers=HTMX)
    assert (told.status_code, role_of(dan)) == (409, Role.ADMIN)
    assert "role admin coordinator" in text_of(told)
    assert 'value="by me"' in told.content.decode()
    alices.post(url, {"role": "coordinator", "seen": seen_in(told)}, headers=HTMX)
    assert role_of(dan) == Role.COORDINATOR


@pytest.mark.parametrize("role", ["", "emperor"])
def test_a_role_that_is_none_is_refused(alices, acme, dan, role):
    refused = alices.post(f"{PEOPLE}{dan.pk}/role/", {"role": role}, headers=HTMX)
    assert refused.status_code == 422
    assert role_of(dan) == Role.MEMBER


def test_the_last_admin_is_pointed_out(alices, acme, bob, dan):
    for page in ("role", "remove"):
        assert "admin" in said_by(alices.get(f"{PEOPLE}{bob.pk}/{page}/", headers=HTMX)).split("Reason")[0]
    assert "no other admin" in text_of(alices.get(f"{PEOPLE}{bob.pk}/remove/"))
    assert "no other admin" not in text_of(alices.get(f"{PEOPLE}{dan.pk}/remove/"))


# Removing


def test_removing_says_what_goes_and_then_goes(alices, acme, dan):
    GrantFactory(company=acme, user=dan)
    asked = said_by(alices.get(f"{PEOPLE}{dan.pk}/remove/", headers=HTMX))
    assert "Dan loses access to Acme at once, with 1 grant there" in asked
    assert Membership.objects.filter(user=dan).exists()
    refused = alices.post(f"{PEOPLE}{dan.pk}/remove/", {"reason": "left", "typed": "Dan"}, headers=HTMX)
    assert (refused.status_code, "Type dan@acme.example to confirm." in said_by(refused)) == (422, True)
    assert Membership.objects.filter(user=dan).exists()
    done = alices.post(f"{PEOPLE}{dan.pk}/remove/", {"reason": "left", "typed": dan.email}, headers=HTMX)
    assert done["HX-Retarget"] == f"#member-{dan.pk}"
    assert "Dan does not belong to Acme any more." in text_of(done)
    assert "autofocus" in done.content.decode()
    assert not Membership.objects.filter(user=dan).exists()
    assert not Grant.objects.exists()
    assert User.objects.filter(pk=dan.pk).exists()
    assert Change.objects.values_list("verb", "reason").get() == ("remove_member", "left")


def test_without_scripts_removing_leads_back(alices, acme, dan):
    assert "<html" in alices.get(f"{PEOPLE}{dan.pk}/remove/").content.decode()
    done = alices.post(f"{PEOPLE}{dan.pk}/remove/", {"next": "https://evil.example/", "typed": dan.email})
    assert (done.status_code, done["Location"]) == (302, PEOPLE)
    assert "Removed dan@acme.example from Acme." in text_of(alices.get(PEOPLE))
