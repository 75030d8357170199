"""Views that ask through OpenFeature, and their map."""

from django.http import JsonResponse
from django.urls import path
from openfeature import api
from openfeature.transaction_context import get_transaction_context

from tests.flags.openfeature.asking import about


async def asynchronous(request):
    """Ask for whoever the request comes from, and for the company it names."""
    ask = api.get_client().get_boolean_details_async
    mine, other = await ask("fleet_chat", False), await ask("fleet_chat", True, about(request.GET["other"]))
    return _said(mine, other)


def synchronous(request):
    """The same."""
    ask = api.get_client().get_boolean_details
    return _said(ask("fleet_chat", False), ask("fleet_chat", True, about(request.GET["other"])))


def _said(mine, other):
    words = [str(found.error_code or found.flag_metadata["reason"]) for found in (mine, other)]
    return JsonResponse({"said": words, "who": get_transaction_context().targeting_key})


urlpatterns = [path("asynchronous/", asynchronous), path("synchronous/", synchronous)]
