"""History: /api/admin/changes, newest first."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags import history
from flags.api.base import READ_AUDIT, AdminView
from flags.api.fields import CursorQuery, MomentParameter
from flags.api.naming import lookup
from flags.api.paging import Keyset, listed, moment
from flags.history import VIA, saying
from flags.models import Change
from flags.sentences import PHRASES


class ChangeQuery(CursorQuery):
    """Which changes. `company` is a slug as it was then, or a UUID; `q` is looked for in reasons, names and values."""

    q = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)

    flag = serializers.CharField(required=False, default="", allow_blank=True, max_length=63)
    company = serializers.CharField(required=False, default="", allow_blank=True, max_length=80)
    actor = serializers.CharField(required=False, default="", allow_blank=True, max_length=254)
    verb = serializers.ChoiceField(sorted(PHRASES), required=False, default="", allow_blank=True)
    via = serializers.ChoiceField(VIA, required=False, default="", allow_blank=True)
    request_id = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)
    batch = serializers.UUIDField(required=False)
    since = MomentParameter(required=False)
    until = MomentParameter(required=False)


class ChangeOutput(serializers.Serializer):
    """One line of history. `before` and `after` hold what changed, and nothing else."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    via = serializers.CharField()
    verb = serializers.CharField()
    flag = serializers.SerializerMethodField()
    company = serializers.SerializerMethodField()
    company_id = serializers.UUIDField(allow_null=True)
    before = serializers.DictField()
    after = serializers.DictField()
    reason = serializers.CharField()
    request_id = serializers.CharField()
    batch = serializers.UUIDField(allow_null=True)

    def get_flag(self, change: Change) -> str | None:
        return change.flag or None

    def get_company(self, change: Change) -> str | None:
        return change.company_slug or None


class ChangesView(AdminView):
    """Who did what, when, by which door, and why."""

    tag = "History"
    outputs = {"GET": listed(ChangeOutput)}
    scopes = {"GET": (READ_AUDIT,)}
    queries = {"GET": ChangeQuery}
    pages = Keyset({"at": moment, "id": UUID}, descending=True)

    def get(self, request: Request) -> Response:
        """List changes, newest first."""
        query = self.query
        rows = Change.objects.all()
        for name in ("flag", "actor", "verb", "via", "request_id", "batch"):
            if query.get(name):
                rows = rows.filter(**{name: query[name]})
        if query["company"]:
            wanted = lookup(query["company"]) or {}
            fields = {"pk": "company_id", "slug": "company_slug"}
            rows = rows.filter(**{fields[name]: value for name, value in wanted.items()}) if wanted else rows.none()
        if "since" in query:
            rows = rows.filter(at__gte=query["since"])
        if "until" in query:
            rows = rows.filter(at__lt=query["until"])
        build = lambda found: ChangeOutput(found, many=True).data  # noqa: E731
        text = saying(q=query["q"]) if query["q"] else None
        return Response(self.pages.page(request, rows, query, build, looked_for=text, through=history.LOOKED_THROUGH))
