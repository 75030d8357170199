"""A person's companies, and which of them is active: /api/workspaces (seed 003)."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api.base import ApiView
from flags.api.fields import Input, Text
from flags.api.paging import listed
from flags.exceptions import FeatureDisabled, NotAllowed
from flags.features import features_for
from tenants import jwt, workspaces
from tenants.models import Membership

MULTI_WORKSPACE = "multi_workspace_enabled"


class WorkspaceInput(Input):
    """The id, or slug, of the company to work in."""

    id = Text(max_length=80)


class WorkspaceOutput(serializers.Serializer):
    """One company of the caller. `is_active` is the one that this very request is about."""

    id = serializers.UUIDField(source="company_id")
    slug = serializers.CharField(source="company.slug")
    name = serializers.CharField(source="company.name")
    role = serializers.CharField()
    is_home = serializers.BooleanField()
    is_active = serializers.SerializerMethodField()

    def get_is_active(self, membership: Membership) -> bool:
        return membership.company_id == self.context["active"]


class ActiveWorkspaceOutput(WorkspaceOutput):
    """The company now worked in, and an access token that says so."""

    access = serializers.CharField()


class WorkspaceView(ApiView):
    """A view for people, while they may work in several companies; else 403 with MULTI_WORKSPACE_DISABLED."""

    tag = "Own company"

    def allow(self) -> None:
        who = self.principal
        if who.user is None:
            raise NotAllowed("A token has no workspaces. Sign in as a person.")
        features_for(who.user, who.home or who.company).require(MULTI_WORKSPACE)


class WorkspacesView(WorkspaceView):
    """Every company the caller belongs to, home first."""

    outputs = {"GET": listed(WorkspaceOutput)}

    def get(self, request: Request) -> Response:
        """List the companies the caller may work in."""
        mine = workspaces.open_to(self.principal)
        active = self.principal.company
        context = {"active": None if active is None else active.pk}
        return Response(
            {"results": WorkspaceOutput(mine, many=True, context=context).data, "next": None, "previous": None}
        )


class ActiveWorkspaceView(WorkspaceView):
    """Work in another company from now on. Answers with a fresh access token; `tenantId` in it stays home."""

    inputs = {"PUT": WorkspaceInput}
    outputs = {"PUT": ActiveWorkspaceOutput}
    rehearsable = ("PUT",)

    def put(self, request: Request) -> Response:
        """Work in another company."""
        who = self.principal
        assert who.user is not None
        try:
            there = workspaces.find(who, self.body()["id"])
        except workspaces.WorkspaceRefused as refused:
            if refused.code == workspaces.DISABLED:  # Switched off between two statements of this request.
                raise FeatureDisabled(MULTI_WORKSPACE, "default") from refused
            raise NotAllowed(refused.detail, code=refused.code) from refused
        found = WorkspaceOutput(there, context={"active": there.company_id}).data
        if self.is_dry_run:
            return Response(found)  # A session is no row of the database, and a token cannot be taken back.
        home = who.home or who.company
        if who.credential == "jwt":
            family = UUID(who.claims["sid"])
            access = jwt.activate(who.user, home, family, there.company_id)
            return Response({**found, "access": access}, headers={"Cache-Control": "no-store"})
        request._request.session[workspaces.ACTIVE] = str(there.company_id)
        pair = jwt.issue(who.user, home, there.company_id)
        return Response({**found, "access": pair["access"]}, headers={"Cache-Control": "no-store"})
