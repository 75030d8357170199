"""API tokens: /api/admin/tokens. The secret is in the answer to POST, and nowhere else."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from flags import apitokens
from flags.api.base import AdminView, created
from flags.api.fields import CursorQuery, Input, Moment, ReasonInput, ReasonQuery, Text
from flags.api.paging import Keyset, listed, moment
from flags.exceptions import Missing, NotAllowed
from tenants.models import ApiToken


class TokenInput(Input):
    """A key for a program."""

    name = Text(max_length=80)
    kind = Text(required=False, default="server", max_length=10)
    company = Text(required=False, allow_null=True, default=None, max_length=80)
    scopes = serializers.ListField(child=Text(max_length=40), required=False, max_length=20)
    expires_at = Moment(required=False, allow_null=True, default=None)


class TokenQuery(CursorQuery):
    """Which tokens."""

    kind = serializers.ChoiceField(["server", "client"], required=False, default="", allow_blank=True)
    revoked = serializers.BooleanField(required=False, default=False)


class TokenOutput(serializers.Serializer):
    """A token, as far as anybody may know it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(["server", "client"])
    public_id = serializers.CharField()
    company = serializers.CharField(source="company.slug", allow_null=True, default=None)
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOutput(TokenOutput):
    """A new token with its secret, shown this once."""

    secret = serializers.CharField(allow_null=True)  # None where an idempotency key repeats the call.


class TokensView(AdminView):
    """The list of tokens; POST makes one. Super admins only."""

    tag = "Tokens"
    inputs = {"POST": TokenInput}
    outputs = {"GET": listed(TokenOutput), "POST": {201: NewTokenOutput}}
    queries = {"GET": TokenQuery}
    pages = Keyset({"created_at": moment, "id": UUID}, descending=True)

    def get(self, request: Request) -> Response:
        """List tokens."""
        rows = ApiToken.objects.select_related("company").filter(revoked_at__isnull=not self.query["revoked"])
        if self.query["kind"]:
            rows = rows.filter(kind=self.query["kind"])
        return Response(self.pages.page(request, rows, self.query, lambda found: TokenOutput(found, many=True).data))

    def post(self, request: Request) -> Response:
        """Make a token."""
        body = self.body()
        name = body.pop("company")
        company = self.company_in_body("company", name) if name is not None else None
        body.setdefault("scopes", ["evaluate"])
        token, secret = apitokens.create_token(actor=self.principal.actor, company=company, **body)
        data = {**TokenOutput(token).data, "secret": secret}
        response = created(data, reverse("api:token", [token.pk], request=request))
        response["Cache-Control"] = "no-store"
        return response


class TokenView(AdminView):
    """One token. DELETE ends it at once; a token may end itself."""

    tag = "Tokens"
    inputs = {"DELETE": ReasonInput}
    outputs = {"GET": TokenOutput, "DELETE": {204: None}}
    queries = {"DELETE": ReasonQuery}

    def allow(self) -> None:
        token = self.principal.token
        if token is not None and self.request.method in ("GET", "HEAD", "DELETE"):
            if token.pk != self.kwargs["token"]:
                raise NotAllowed("A token may look at itself only, and end only itself.")
            return
        super().allow()

    def stored(self, token: UUID) -> ApiToken:
        """Return the token. Raises Missing."""
        own = self.principal.token
        found = own if own is not None else ApiToken.objects.select_related("company").filter(pk=token).first()
        if found is None:
            raise Missing("There is no such token.", code="TOKEN_NOT_FOUND")
        return found

    def get(self, request: Request, token: UUID) -> Response:
        """Read a token."""
        return Response(TokenOutput(self.stored(token)).data)

    def delete(self, request: Request, token: UUID) -> Response:
        """End a token."""
        reason = self.body()["reason"] or self.query["reason"]
        apitokens.revoke_token(self.stored(token), actor=self.principal.actor, reason=reason)
        return Response(status=204)
