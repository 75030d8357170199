"""One person's page: where they belong, what they hold there, what they did and what was done to them."""

import uuid

import pytest

from flags import changes, companies
from tests.factories import FlagFactory, MembershipFactory, UserFactory
from tests.flags.console.browsing import text_of

pytestmark = pytest.mark.django_db


def url(person) -> str:
    return f"/super-admin/people/{person.pk}/"


def test_it_says_where_they_belong_and_what_they_hold(alices, alice, acme, globex, dan):
    MembershipFactory(company=globex, user=dan, role="admin", is_home=False)
    FlagFactory(key="night_chat", name="Night Chat", needs_grant=True)
    changes.grant(globex, dan, "night_chat", actor=alice)
    page = text_of(alices.get(url(dan)))
    assert "dan@acme.example" in page
    assert page.index("Acme Home Member None") < page.index("Globex Admin Night Chat")


def test_it_tells_what_they_did_and_what_was_done_to_them_and_nothing_else(alices, alice, acme, bob, dan):
    FlagFactory(key="night_chat", name="Night Chat", needs_grant=True, is_self_service=True)
    changes.grant(acme, dan, "night_chat", actor=alice, reason="on call")
    changes.set_opt_in(acme, "night_chat", True, actor=bob)
    companies.add_member(acme, "new@acme.example", "member", actor=alice)
    page = text_of(alices.get(url(dan)))
    assert "Alice granted Night Chat to dan@acme.example at Acme — on call" in page
    assert "switched" not in page
    assert "new@acme.example" not in page
    assert "Bob switched Night Chat on at Acme" in text_of(alices.get(url(bob)))
    assert "Alice granted" in text_of(alices.get(url(alice)))


def test_somebody_of_no_company_and_without_history(alices):
    page = text_of(alices.get(url(UserFactory(name="Lost Soul"))))
    assert "Lost Soul belongs to no company" in page
    assert "No history yet" in page


def test_it_costs_the_same_for_few_lines_and_many(alices, alice, acme, dan, django_assert_max_num_queries):
    FlagFactory(key="night_chat", needs_grant=True)
    for number in range(12):
        changes.grant(acme, dan, "night_chat", enabled=number % 2 == 0, actor=alice)
    with django_assert_max_num_queries(12):
        alices.get(url(dan))


def test_the_list_of_people_leads_here(alices, acme, dan):
    assert f'href="{url(dan)}"' in alices.get("/super-admin/companies/acme/members/").content.decode()


def test_nobody_is_not_found_and_others_may_not(alices, sign_in, bob, dan):
    assert alices.get(f"/super-admin/people/{uuid.uuid4()}/").status_code == 404
    assert sign_in(bob).get(url(dan)).status_code == 403
