"""A company's people, and what single ones of them were granted."""

from uuid import UUID

from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags import changes, companies
from flags.api.base import WRITE_TENANTS, CompanyView
from flags.api.fields import Bool, CursorQuery, Input, Moment, Reason, ReasonInput, ReasonQuery, Text
from flags.api.paging import Keyset, listed, moment
from flags.exceptions import Missing
from flags.models import Grant
from tenants.models import Membership, Role, User


class MemberInput(Input):
    """Who, in which role."""

    email = Text(max_length=254)
    role = Text(max_length=20)
    name = Text(required=False, allow_blank=True, default="", max_length=120)
    reason = Reason()


class MembersQuery(CursorQuery):
    """Which people: by text in the name or address, and by role."""

    q = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)
    role = serializers.ChoiceField(Role.choices, required=False, default="", allow_blank=True)


class GrantInput(Input):
    """A permission, or with `enabled` false a denial."""

    enabled = Bool(required=False, default=True)
    reason = Reason()
    expires_at = Moment(required=False, allow_null=True, default=None)


class PersonOutput(serializers.Serializer):
    """A person."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()


class MemberOutput(serializers.Serializer):
    """A person's place in a company."""

    user = PersonOutput()
    role = serializers.CharField()
    is_home = serializers.BooleanField()


class GrantOutput(serializers.Serializer):
    """What one person may, or may not, use of what the company has."""

    key = serializers.CharField(source="flag_id")
    user = PersonOutput()
    enabled = serializers.BooleanField()
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)


class PeopleView(CompanyView):
    """A view about a person of the company in its address."""

    def person(self, user: UUID) -> User:
        """Return a person of this company. Raises Missing for everybody else, there or not."""
        row = self.rows().filter(user=user).first()
        if row is None:
            raise Missing(f"{self.company.name} has no such member.", code="MEMBER_NOT_FOUND")
        return row.user

    def rows(self):
        """The company's people. A password's digest is nothing to read, and company keys may not."""
        rows = Membership.objects.filter(company=self.company).select_related("user")
        return rows.defer("user__password")


class MembersView(PeopleView):
    """The people of a company. POST adds one, or changes the role of one who is there."""

    tag = "People"
    inputs = {"POST": MemberInput}
    outputs = {"GET": listed(MemberOutput), "POST": {200: MemberOutput, 201: MemberOutput}}
    scopes = {"GET": (WRITE_TENANTS,), "POST": (WRITE_TENANTS,)}
    queries = {"GET": MembersQuery}
    pages = Keyset({"created_at": moment, "id": UUID})

    def get(self, request: Request, tenant: str) -> Response:
        """List a company's people."""
        query, rows = self.query, self.rows()
        for word in query["q"].split():
            rows = rows.filter(Q(user__email__icontains=word) | Q(user__name__icontains=word))
        if query["role"]:
            rows = rows.filter(role=query["role"])
        build = lambda found: MemberOutput(found, many=True).data  # noqa: E731
        return Response(self.pages.page(request, rows, query, build))

    def post(self, request: Request, tenant: str) -> Response:
        """Add a person, or change their role."""
        body = self.body()
        email = body["email"].strip().lower()
        is_new = not Membership.objects.filter(company=self.company, user__email=email).exists()
        membership = companies.add_member(self.company, actor=self.principal.actor, **body)
        return Response(MemberOutput(membership).data, status=201 if is_new else 200)


class MemberView(PeopleView):
    """One person of a company."""

    tag = "People"
    inputs = {"DELETE": ReasonInput}
    outputs = {"GET": MemberOutput, "DELETE": {204: None}}
    scopes = {"GET": (WRITE_TENANTS,), "DELETE": (WRITE_TENANTS,)}
    queries = {"DELETE": ReasonQuery}

    def get(self, request: Request, tenant: str, user: UUID) -> Response:
        """Read one of the people."""
        self.person(user)
        return Response(MemberOutput(self.rows().get(user=user)).data)

    def delete(self, request: Request, tenant: str, user: UUID) -> Response:
        """Remove a person."""
        reason = self.body()["reason"] or self.query["reason"]
        companies.remove_member(self.company, self.person(user), actor=self.principal.actor, reason=reason)
        return Response(status=204)


class GrantView(PeopleView):
    """What one person may use, of what the company has."""

    tag = "People"
    inputs = {"PUT": GrantInput, "DELETE": ReasonInput}
    outputs = {"GET": GrantOutput, "PUT": {200: GrantOutput, 201: GrantOutput}, "DELETE": {204: None}}
    scopes = {"GET": (WRITE_TENANTS,), "PUT": (WRITE_TENANTS,), "DELETE": (WRITE_TENANTS,)}
    queries = {"DELETE": ReasonQuery}

    def get(self, request: Request, tenant: str, key: str, user: UUID) -> Response:
        """Read a grant."""
        row = self.stored(key, self.person(user))
        if row is None:
            raise Missing("This person was neither granted nor denied it.", code="GRANT_NOT_FOUND")
        return Response(GrantOutput(row).data)

    def put(self, request: Request, tenant: str, key: str, user: UUID) -> Response:
        """Grant or deny a feature to a person."""
        body = self.body()
        person = self.person(user)
        is_new = self.stored(key, person) is None
        row = changes.grant(self.company, person, key, actor=self.principal.actor, **body)
        return Response(GrantOutput(row).data, status=201 if is_new else 200)

    def delete(self, request: Request, tenant: str, key: str, user: UUID) -> Response:
        """Take a grant or denial back."""
        reason = self.body()["reason"] or self.query["reason"]
        person = self.person(user)
        changes.revoke(self.company, person, self.flag(key).key, actor=self.principal.actor, reason=reason)
        return Response(status=204)

    def stored(self, key: str, person: User) -> Grant | None:
        """Return the grant as it is, or None."""
        rows = Grant.objects.filter(company=self.company, flag=self.flag(key), user=person)
        return rows.select_related("user").defer("user__password").first()
