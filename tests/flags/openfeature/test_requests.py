"""Headgate behind the OpenFeature SDK: within requests.

Numbers are requirements of OpenFeature's specification (0.9).
"""

import asyncio

import pytest
from django.http import JsonResponse
from django.test import AsyncClient, Client, RequestFactory
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.transaction_context import (
    ContextVarsTransactionContextPropagator,
    clear_transaction_context_propagator,
    get_transaction_context,
    set_transaction_context_propagator,
)

from flags.middleware import FeaturesMiddleware
from flags.openfeature import ContextMiddleware
from tenants.principal import Principal
from tests.factories import (
    ApiTokenFactory,
    CompanyFactory,
)
from tests.flags.openfeature.asking import about, run

pytestmark = pytest.mark.django_db(transaction=True)


class TestRequests:
    """The middleware, and evaluation in views."""

    @pytest.fixture(autouse=True)
    def _propagated(self):
        set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        yield
        clear_transaction_context_propagator()

    @staticmethod
    def serve(principal, view, *, middleware=ContextMiddleware):
        request = RequestFactory().get("/")
        request.principal = principal
        return FeaturesMiddleware(middleware(view))(request)

    def test_the_request_is_who_asks(self, chat, client, acme, globex, dan, alice):
        def ask(request):
            return JsonResponse({"value": client.get_boolean_details("fleet_chat", False).flag_metadata["reason"]})

        asked = {
            Principal(dan, acme, "member", credential="session"): b"override",
            Principal(token=ApiTokenFactory(company=acme), company=acme, credential="token"): b"override",
            Principal(dan, globex, "member", credential="session"): b"default",
            Principal(alice, credential="session"): b"super_admin",
            Principal(alice, acme, "admin", viewing_as=acme, credential="session"): b"override",
            Principal(): b"no_company",
        }
        for principal, word in asked.items():
            assert word in self.serve(principal, ask).content
            assert word in self.serve(principal, ask, middleware=lambda view: view).content

    def test_it_reaches_hooks_and_gives_way_to_the_call(self, chat, client, acme, dan):  # 3.2.3
        seen = []

        class Noting(Hook):
            def before(self, hook_context, hints):
                seen.append(hook_context.evaluation_context)

        options = FlagEvaluationOptions(hooks=[Noting()])

        def ask(request):
            client.get_boolean_value("fleet_chat", False, None, options)
            client.get_boolean_value("fleet_chat", False, about("globex"), options)
            return JsonResponse({})

        CompanyFactory(slug="globex")
        self.serve(Principal(dan, acme, "member"), ask)

        assert [(one.targeting_key, one.attributes["companyId"]) for one in seen] == [
            (str(dan.pk), str(acme.pk)),
            (str(dan.pk), "globex"),
        ]

    def test_no_request_sees_the_one_before(self, acme, dan):
        seen = []

        def note(request):
            seen.append(get_transaction_context())
            return JsonResponse({})

        def fail(request):
            raise ZeroDivisionError

        self.serve(Principal(dan, acme, "member"), note)
        assert get_transaction_context() == EvaluationContext()
        with pytest.raises(ZeroDivisionError):
            self.serve(Principal(dan, acme, "member"), fail)
        assert get_transaction_context() == EvaluationContext()
        self.serve(Principal(), note)

        assert seen == [EvaluationContext(str(dan.pk), {"companyId": str(acme.pk)}), EvaluationContext()]

    def test_async_views_ask_off_the_loop(self, chat, client, acme, dan):  # 1.4.10
        async def ask(request):
            mine = await client.get_boolean_value_async("fleet_chat", False)
            other = await client.get_boolean_value_async("fleet_chat", True, about("globex"))
            return JsonResponse({"mine": mine, "other": other, "who": get_transaction_context().targeting_key})

        CompanyFactory(slug="globex")

        async def serve():
            response = await self.serve(Principal(dan, acme, "member"), ask)
            return response.content, get_transaction_context()

        content, afterwards = run(serve())
        assert content == b'{"mine": true, "other": false, "who": "%s"}' % str(dan.pk).encode()
        assert afterwards == EvaluationContext()

    def test_requests_on_one_loop_do_not_mix(self, chat, client, acme, dan):
        globex = CompanyFactory(slug="globex")

        async def ask(request):
            await asyncio.sleep(0)
            return JsonResponse({"value": await client.get_boolean_value_async("fleet_chat", False)})

        async def serve():
            companies = [acme, globex] * 5
            return await asyncio.gather(*(self.serve(Principal(dan, one, "member"), ask) for one in companies))

        assert [b"true" in response.content for response in run(serve())] == [True, False] * 5

    @pytest.mark.parametrize("view", ["asynchronous", "synchronous"])
    @pytest.mark.parametrize("server", ["asgi", "wsgi"])
    def test_within_all_of_headgates_middleware(self, view, server, chat, client, globex, dan, settings):
        settings.ROOT_URLCONF = "tests.flags.openfeature.asking_views"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "flags.openfeature.ContextMiddleware"]
        browser = AsyncClient() if server == "asgi" else Client()
        browser.force_login(dan)

        def get(address):
            response = browser.get(address)
            return (run(response) if server == "asgi" else response).json()

        # As a person of Acme: the database shows them Acme alone, and yet another company's answer is found.
        assert get(f"/{view}/?other=globex") == {"said": ["override", "default"], "who": str(dan.pk)}
        assert get(f"/{view}/?other={globex.pk}")["said"] == ["override", "default"]
        assert get(f"/{view}/?other=nowhere")["said"] == ["override", "INVALID_CONTEXT"]
        browser.logout()
        assert get(f"/{view}/?other=acme") == {"said": ["no_company", "override"], "who": None}
