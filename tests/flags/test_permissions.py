"""FeatureEnabled("key") among a REST framework view's permissions."""

import pytest
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from flags import registry
from flags.exceptions import FeatureDisabled
from flags.permissions import FeatureEnabled
from tenants.models import User

SOMEBODY = User(email="somebody@example.com")


@pytest.fixture
def ask():
    """Return a function that asks a permission on behalf of a person."""

    def asking(permission, user=SOMEBODY) -> bool:
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        return permission().has_permission(APIView().initialize_request(request), APIView())

    return asking


def test_it_passes_where_the_feature_is_on(ask, override_features):
    override_features(api_access=True)
    assert ask(FeatureEnabled("api_access")) is True


def test_it_refuses_with_the_features_own_refusal(ask, override_features):
    override_features(api_access=False)
    with pytest.raises(FeatureDisabled) as refusal:
        ask(FeatureEnabled("api_access"))
    assert refusal.value.code == "API_ACCESS_DISABLED"


def test_strangers_are_asked_who_they_are_first(override_features):
    override_features(api_access=False)
    request = Request(APIRequestFactory().get("/"))
    with pytest.raises(NotAuthenticated):
        FeatureEnabled("api_access")().has_permission(request, APIView())


@pytest.mark.parametrize("api_access", [True, False])
@pytest.mark.parametrize("white_label", [True, False])
def test_two_can_be_combined(ask, override_features, api_access, white_label):
    override_features(api_access=api_access, white_label=white_label)
    both = FeatureEnabled("api_access") & FeatureEnabled("white_label") & IsAuthenticated
    if api_access and white_label:
        assert ask(both) is True
    else:
        with pytest.raises(FeatureDisabled) as refusal:
            ask(both)
        assert refusal.value.key == ("white_label" if api_access else "api_access")


def test_a_view_that_lists_it_answers_403(override_features):
    class Reports(APIView):
        permission_classes = [IsAuthenticated, FeatureEnabled("advanced_reports")]

        def get(self, request: Request) -> Response:
            return Response("through")

    def status() -> int:
        request = APIRequestFactory().get("/")
        force_authenticate(request, SOMEBODY)
        return Reports.as_view()(request).status_code

    override_features(advanced_reports=False)
    assert status() == 403
    override_features(advanced_reports=True)
    assert status() == 200


def test_its_key_is_noted_with_its_place(noted_apart):
    FeatureEnabled("api_acces")
    assert registry.Use("api_acces", f"{__name__}.test_its_key_is_noted_with_its_place") in registry.uses()
