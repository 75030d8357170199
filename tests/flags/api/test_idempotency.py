"""`Idempotency-Key`: what is repeated is answered alike, and done once."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from flags.callmodels import AnsweredCall
from flags.models import Change, Flag
from tenants.models import ApiToken, Company

pytestmark = pytest.mark.django_db
FLAGS = "/api/admin/feature-flags"
BODY = {"key": "fleet_chat", "enabled": True}


def post(client, path=FLAGS, body=BODY, key="9b2f-1", **kwargs):
    return client.post(path, body, content_type="application/json", headers={"idempotency-key": key}, **kwargs)


def test_a_repeated_call_gets_the_same_answer_and_does_nothing(admin):
    first = post(admin)
    again = post(admin)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert (again.get("Idempotency-Replayed"), first.get("Idempotency-Replayed")) == ("true", None)
    assert Change.objects.count() == 1


def test_spaces_and_order_do_not_make_another_call(admin):
    post(admin)
    text = '{ "enabled": true,\n "key": "fleet_chat" }'

    again = admin.generic("POST", FLAGS, text, content_type="application/json", headers={"idempotency-key": "9b2f-1"})

    assert again["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "body"), [(FLAGS, {**BODY, "enabled": False}), ("/api/admin/tenants", {"slug": "x1", "name": "X"})]
)
def test_another_call_under_the_same_key_is_refused(path, body, admin):
    post(admin)

    response = post(admin, path, body)

    assert (response.status_code, response.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert not Company.objects.exists()


def test_keys_are_each_callers_own(admin, as_token):
    post(admin)

    response = post(as_token("flags:write"), body={**BODY, "enabled": False})

    assert response.status_code == 200
    assert Flag.objects.get(key="fleet_chat").default_enabled is False


def test_a_refusal_is_not_kept(admin):
    refused = post(admin, body={**BODY, "requires": ["nothing_here"]})
    made = post(admin)

    assert (refused.status_code, made.status_code) == (400, 201)


def test_a_secret_is_shown_once_and_kept_nowhere(admin):
    first = post(admin, "/api/admin/tokens", {"name": "CI"})
    again = post(admin, "/api/admin/tokens", {"name": "CI"})

    assert first.json()["secret"].startswith("hg_s_")
    assert again.json() == {**first.json(), "secret": None}
    assert first.json()["secret"] not in str(AnsweredCall.objects.values())
    assert ApiToken.objects.count() == 1


def test_after_a_day_a_key_is_free_again(admin):
    post(admin)
    AnsweredCall.objects.update(created_at=timezone.now() - timedelta(hours=25))

    assert post(admin).status_code == 200
    assert AnsweredCall.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ä", "a b"])
def test_a_key_that_is_none_is_refused(key, admin):
    response = post(admin, key=key)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["Idempotency-Key"])
    assert not Flag.objects.filter(key="fleet_chat").exists()


def test_a_rehearsal_is_not_kept(admin):
    post(admin, f"{FLAGS}?dry_run=1")

    assert post(admin).status_code == 201


def test_a_key_bound_to_a_company_may_repeat_itself_too(as_token, acme):
    client = as_token("flags:write", company=acme)
    body = {"key": "api_access", "enabled": True, "tenantId": "acme"}

    assert post(client, body=body).json() == post(client, body=body).json()
    assert Change.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_done_once(alice, as_person):
    header = as_person(alice).defaults["HTTP_AUTHORIZATION"]
    barrier, answers = threading.Barrier(4), []

    def call():
        barrier.wait()
        answers.append(post(Client(headers={"authorization": header})))
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [answer.status_code for answer in answers] == [201] * 4
    assert sorted(answer.get("Idempotency-Replayed", "") for answer in answers) == ["", "true", "true", "true"]
    assert Change.objects.filter(verb="create_flag").count() == 1
