"""OpenFeature's protocol asked by browsers, from pages of other origins."""

import pytest

from tests.flags.api.ofrep import BULK, bulk
from tests.flags.api.test_error_shape import assert_problem

pytestmark = pytest.mark.django_db


class TestOtherOrigins:
    ORIGIN = "https://app.acme.example"

    @pytest.fixture(autouse=True)
    def _listed(self, settings):
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]

    def preflight(self, client, origin):
        return client.options(
            BULK,
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type,if-none-match",
            },
        )

    def test_a_listed_one_may_ask_and_read(self, anonymous, key, chat):
        asked = self.preflight(anonymous, self.ORIGIN)
        answered = bulk(key, headers={"origin": self.ORIGIN})

        assert asked.status_code == 204
        assert asked["Access-Control-Allow-Origin"] == self.ORIGIN
        assert {"authorization", "content-type", "if-none-match", "x-api-key"} <= set(
            asked["Access-Control-Allow-Headers"].split(", ")
        )
        assert "POST" in asked["Access-Control-Allow-Methods"]
        assert answered["Access-Control-Allow-Origin"] == self.ORIGIN
        assert {"ETag", "Retry-After"} <= set(answered["Access-Control-Expose-Headers"].split(", "))

    def test_refusals_can_be_read_too(self, anonymous, as_token, key, settings):
        settings.API_RATE_LIMIT = "1/h"
        bulk(key)
        for client, status in ((anonymous, 401), (as_token("flags:read"), 403), (key, 429)):
            response = bulk(client, headers={"origin": self.ORIGIN})
            assert (response.status_code, response["Access-Control-Allow-Origin"]) == (status, self.ORIGIN)

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.acme.example.evil.example", ""])
    def test_any_other_is_told_nothing(self, origin, anonymous, key):
        assert "Access-Control-Allow-Origin" not in self.preflight(anonymous, origin)
        assert "Access-Control-Allow-Origin" not in bulk(key, headers={"origin": origin})

    def test_cookies_are_never_let_through(self, key):
        response = bulk(key, headers={"origin": self.ORIGIN})

        assert "Access-Control-Allow-Credentials" not in response
        assert "Origin" in response["Vary"]

    def test_pages_are_nobody_elses(self, anonymous):
        assert "Access-Control-Allow-Origin" not in anonymous.get("/login/", headers={"origin": self.ORIGIN})

    def test_an_options_call_that_is_no_preflight_is_405(self, key):
        assert_problem(key.options(BULK), 405, "METHOD_NOT_ALLOWED")
