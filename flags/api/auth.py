"""Signing in and out by API: /api/auth. Short access tokens, and refresh tokens that serve once."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api.authentication import REALM, BadToken
from flags.api.base import ApiView
from flags.api.fields import Input, Text
from flags.features import features_for
from tenants import jwt
from tenants.credentials import BadCredential
from tenants.models import Company, Membership, User
from tenants.rls import acting_as_system
from tenants.signin import SignInRefused, attempt

MULTI_WORKSPACE = "multi_workspace_enabled"
NO_STORE = {"Cache-Control": "no-store"}


class SignInInput(Input):
    """Who, and the proof."""

    email = Text(max_length=254)
    password = Text(max_length=1024, trim_whitespace=False)


class RefreshInput(Input):
    """A refresh token. It serves once."""

    refresh = Text(max_length=500)


class SignOutInput(Input):
    """The refresh token of the sign-in to end; without one, that of the access token sent along."""

    refresh = Text(required=False, max_length=500)


class PairOutput(serializers.Serializer):
    """An access token for fifteen minutes, and a refresh token for the next pair."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class DoorstepView(ApiView):
    """A view for anybody: whoever comes to sign in is nobody yet, whatever cookie or token lies around."""

    tag = "Signing in"
    authentication_classes: list = []
    permission_classes: list = []
    for_strangers = True

    def get_authenticate_header(self, request: Request) -> str:
        return REALM


def workspaces_on(user: User, home: Company) -> bool:
    """Say whether a person may work in several companies (seed 003)."""
    return features_for(user, home)[MULTI_WORKSPACE]


class TokenView(DoorstepView):
    """Sign in with email address and password. Guessing gets slower and slower."""

    inputs = {"POST": SignInInput}
    outputs = {"POST": PairOutput}

    def post(self, request: Request) -> Response:
        """Sign in."""
        body = self.body()
        try:
            user = attempt(request._request, body["email"], body["password"])
        except SignInRefused as refusal:
            if refusal.retry_after:
                raise Throttled(wait=refusal.retry_after) from refusal
            raise BadToken(refusal.detail, "SIGN_IN_FAILED") from refusal
        with acting_as_system("find a person's home"):
            membership = Membership.objects.home_of(user)
            home = None if membership is None else membership.company
            active = home.pk if home is not None and workspaces_on(user, home) else None
        return Response(jwt.issue(user, home, active), headers=NO_STORE)


class RefreshView(DoorstepView):
    """Trade a refresh token for a new pair. Using one twice ends the whole sign-in."""

    inputs = {"POST": RefreshInput}
    outputs = {"POST": PairOutput}

    def post(self, request: Request) -> Response:
        """Trade a refresh token for a new pair."""
        token = self.body()["refresh"]
        try:
            pair = jwt.refresh(token, workspaces_on=workspaces_on)
        except BadCredential as error:
            raise BadToken(error.detail, error.code) from error
        return Response(pair, headers=NO_STORE)


class SignOutView(DoorstepView):
    """End a sign-in at once: its refresh token, and with it its access tokens."""

    inputs = {"POST": SignOutInput}
    outputs = {"POST": {204: None}}

    def post(self, request: Request) -> Response:
        """Sign out."""
        body = self.body()
        principal = self.principal
        if "refresh" in body:
            jwt.end(body["refresh"])
        elif principal.credential == "jwt":
            with acting_as_system("sign out"):
                jwt.end_family(UUID(principal.claims["sid"]))
        else:
            raise NotAuthenticated
        return Response(status=204)
