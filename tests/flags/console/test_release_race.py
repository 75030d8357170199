"""Two people press Promote at the same moment, each in a browser: one promotion, and one clear refusal."""

import re
import threading

import pytest
from django.db import connection

from flags import releases
from flags.models import Change
from flags.releasemodels import Gate, Promotion
from tests.factories import CompanyFactory, UserFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db(transaction=True)
PROMOTE = "/super-admin/feature-flags/api_access/release/promote/"


def test_one_promotes_and_the_other_is_told_and_keeps_what_was_typed(sign_in):
    releases.start("api_access", actor=None)
    Gate.objects.all().delete()
    CompanyFactory(channel="pilot")
    browsers = [sign_in(UserFactory(super_admin=True)) for _ in range(2)]
    drawers = [browser.get(PROMOTE, headers=HTMX).content.decode() for browser in browsers]
    begin = threading.Barrier(2)
    answers = {}

    def press(number: int) -> None:
        typed = dict(re.findall(r'name="(seen|version)" value="(\w+)"', drawers[number]))
        try:
            begin.wait(20)
            answers[number] = browsers[number].post(PROMOTE, typed | {"reason": f"words {number}"}, headers=HTMX)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [loser] = [number for number, answer in answers.items() if answer.status_code != 200]
    assert answers[loser].status_code == 409
    assert "is in Pilot by now: somebody else moved it." in text_of(answers[loser])
    assert f'value="words {loser}"' in answers[loser].content.decode()
    assert Promotion.objects.filter(kind="promote").count() == Change.objects.filter(verb="promote").count() == 1
