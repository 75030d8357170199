"""Flags as super admins steer them: /api/admin/feature-flags."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from flags import changes, overview, revisions, standing
from flags.api.base import READ_FLAGS, WRITE_FLAGS, AdminView
from flags.api.fields import Bool, Input, PageQuery, Reason, ReasonInput, ReasonQuery, Text, Whole
from flags.api.naming import SLUG
from flags.api.overrides import OverrideOutput
from flags.api.overrides import shown as shown_override
from flags.api.paging import by_number, listed
from flags.api.preconditions import expected_version, lost_races, version_tag
from flags.api.releaseshapes import ReleaseOutput, shown_in_brief, shown_release
from flags.exceptions import Invalid, Missing
from flags.models import Flag
from flags.overview import FlagRow

STATES = (*overview.STATES, "overridden", "archived")
ORDERINGS = ("category", "key", "name", "created_at", "updated_at")
DESCRIBING = (
    "name",
    "description",
    "category",
    "owner",
    "metadata",
    "is_internal",
    "is_killswitch",
    "needs_grant",
    "minimum_plan",
    "is_self_service",
    "requires",
)


class FlagQuery(PageQuery):
    """Which flags, in which order."""

    q = serializers.CharField(required=False, default="", allow_blank=True, max_length=120)
    category = serializers.CharField(required=False, default="", allow_blank=True, max_length=40)
    state = serializers.ChoiceField(STATES, required=False, default="", allow_blank=True)
    ordering = serializers.ChoiceField(
        [sign + name for name in ORDERINGS for sign in ("", "-")], required=False, default="category"
    )


class ChannelInput(Input):
    """A channel's answer: off, or on for a percentage of its companies."""

    enabled = Bool()
    percentage = Whole(required=False, default=100, min_value=0, max_value=100)


class ChannelPut(ChannelInput):
    """The same by itself, with why."""

    reason = Reason()
    version = Whole(required=False, allow_null=True, default=None)


class DescribingInput(Input):
    """What a flag is; every name may be left out."""

    name = Text(required=False, max_length=120)
    description = Text(required=False, allow_blank=True, max_length=5000)
    category = Text(required=False, max_length=40)
    owner = Text(required=False, allow_blank=True, max_length=120)
    metadata = serializers.DictField(required=False)
    is_internal = Bool(required=False)
    is_killswitch = Bool(required=False)
    needs_grant = Bool(required=False)
    minimum_plan = Text(required=False, allow_null=True, max_length=40)
    is_self_service = Bool(required=False)
    requires = serializers.ListField(child=Text(max_length=63), required=False, max_length=100)
    reason = Reason()
    version = Whole(required=False, allow_null=True, default=None)

    def describing(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the flag itself that were sent."""
        return {name: data[name] for name in DESCRIBING if name in data}


class FlagInput(DescribingInput):
    """The one call of seed 003: set a flag's default, or one company's answer; a new key makes a flag."""

    key = Text(max_length=63, trim_whitespace=False)
    enabled = Bool()
    tenantId = Text(required=False, allow_null=True, default=None, max_length=80)
    description = Text(required=False, allow_blank=True, allow_null=True, max_length=5000)


class FlagPatch(DescribingInput):
    """What to change. `default_enabled` null inherits again; a channel of null loses its answer."""

    default_enabled = Bool(required=False, allow_null=True)
    channels = serializers.DictField(child=ChannelInput(allow_null=True), required=False)


class ChannelOutput(serializers.Serializer):
    """A channel's answer."""

    enabled = serializers.BooleanField()
    percentage = serializers.IntegerField()


class OverrideCounts(serializers.Serializer):
    """How many companies differ."""

    on = serializers.IntegerField()
    off = serializers.IntegerField()


class FlagOutput(serializers.Serializer):
    """A flag, with its channels' answers and how many companies differ."""

    key = serializers.CharField(source="flag.key")
    name = serializers.CharField(source="flag.name")
    description = serializers.CharField(source="flag.description")
    category = serializers.CharField(source="flag.category")
    owner = serializers.CharField(source="flag.owner")
    metadata = serializers.DictField(source="flag.metadata")
    default_enabled = serializers.BooleanField(source="flag.default_enabled")
    default_source = serializers.ChoiceField(["operator", "environment", "catalogue"], source="flag.default_source")
    is_internal = serializers.BooleanField(source="flag.is_internal")
    is_killswitch = serializers.BooleanField(source="flag.is_killswitch")
    killed = serializers.BooleanField(source="flag.is_killed")
    killed_at = serializers.DateTimeField(source="flag.killed_at", allow_null=True)
    kill_reason = serializers.CharField(source="flag.kill_reason")
    needs_grant = serializers.BooleanField(source="flag.needs_grant")
    minimum_plan = serializers.CharField(source="flag.minimum_plan_id", allow_null=True)
    is_self_service = serializers.BooleanField(source="flag.is_self_service")
    requires = serializers.SerializerMethodField()
    channels = serializers.SerializerMethodField()
    overrides = serializers.SerializerMethodField()
    release = serializers.SerializerMethodField()
    archived_at = serializers.DateTimeField(source="flag.archived_at", allow_null=True)
    version = serializers.IntegerField(source="flag.version")
    created_at = serializers.DateTimeField(source="flag.created_at")
    updated_at = serializers.DateTimeField(source="flag.updated_at")

    def get_requires(self, row: FlagRow) -> list[str]:
        return sorted(required.pk for required in row.flag.requires.all())

    @extend_schema_field(serializers.DictField(child=ChannelOutput()))
    def get_channels(self, row: FlagRow) -> dict[str, dict[str, Any]]:
        return {
            state.slug: {"enabled": state.enabled, "percentage": state.percentage}
            for state in row.channels
            if state.enabled is not None
        }

    @extend_schema_field(OverrideCounts)
    def get_overrides(self, row: FlagRow) -> dict[str, int]:
        return {"on": row.overrides_on, "off": row.overrides_off}

    @extend_schema_field(ReleaseOutput(allow_null=True))
    def get_release(self, row: FlagRow) -> dict[str, Any] | None:
        return self.context["releases"].get(row.flag.key)


class SetFlagOutput(FlagOutput):
    """A flag with what was set: its default, or one company's answer."""

    enabled = serializers.BooleanField()
    tenantId = serializers.UUIDField(allow_null=True)
    override = OverrideOutput(required=False)


def shown(flags: Iterable[Flag], *, brief: bool = False) -> list[dict[str, Any]]:
    """Return flags as the API shows them, in their order. In `brief` their releases come without gates and evidence."""
    rows = overview.flag_rows(flags)
    keys = [row.flag.key for row in rows]
    releases: dict[str, dict[str, Any] | None]
    if brief:
        releases = {release.flag_id: shown_in_brief(release) for release in standing.under_way(keys)}
    else:
        releases = {key: shown_release(found) for key, found in standing.by_key(keys).items()}
    return list(FlagOutput(rows, many=True, context={"releases": releases}).data)


def briefly(flags: Iterable[Flag]) -> list[dict[str, Any]]:
    """Return flags as they stand in a list."""
    return shown(flags, brief=True)


def one(key: str, status: int = 200) -> Response:
    """Return a flag as it now is, under the tag of its version."""
    return _one(Flag.objects.get(pk=key), status)


def _one(flag: Flag, status: int = 200) -> Response:
    return Response(shown([flag])[0], status=status, headers={"ETag": version_tag(flag.version)})


class FlagsView(AdminView):
    """The list of flags, and the one call that sets any of them."""

    tag = "Flags"
    inputs = {"POST": FlagInput}
    outputs = {"GET": listed(FlagOutput), "POST": {200: SetFlagOutput, 201: SetFlagOutput}}
    scopes = {"GET": (READ_FLAGS, WRITE_FLAGS), "POST": (WRITE_FLAGS,)}
    queries = {"GET": FlagQuery}
    for_bound_keys = ("POST",)

    def get(self, request: Request) -> Response:
        """List flags."""
        query = self.query
        flags = overview.find_flags(q=query["q"], category=query["category"], state=query["state"], internal=True)
        order = query["ordering"]
        named = ("category", "name", "key") if order == "category" else (order, "key")
        return Response(by_number(request, flags.order_by(*named).prefetch_related("requires"), query, briefly))

    def post(self, request: Request) -> Response:
        """Set any flag's default, or one company's answer; a new key makes a flag."""
        body = self.body()
        name = body["tenantId"]
        company = self.company_in_body("tenantId", name) if name is not None else None
        if not self.sees_internal:
            self.flag(body["key"])
        fields = FlagInput().describing(body)
        if fields.get("description", "") is None:
            del fields["description"]
        if company is not None and fields.keys() - {"description"}:
            extra = sorted(fields.keys() - {"description"})
            raise Invalid(
                f"With tenantId this sets one company's answer, not the flag's {extra[0]}. Make two calls.",
                errors={field: ["Not together with tenantId."] for field in extra},
            )
        outcome = revisions.put_flag(
            body["key"],
            body["enabled"],
            actor=self.principal.actor,
            company=company,
            reason=body["reason"],
            version=body["version"],
            **fields,
        )
        response = one(outcome.flag.key, 201 if outcome.is_new else 200)
        response.data |= {"enabled": body["enabled"], "tenantId": None if company is None else str(company.pk)}
        if outcome.override is not None:
            response.data["override"] = shown_override(outcome.override)
        if outcome.is_new:
            response["Location"] = reverse("api:flag", [outcome.flag.key], request=request)
        return response


class FlagView(AdminView):
    """One flag."""

    tag = "Flags"
    inputs = {"PATCH": FlagPatch, "DELETE": ReasonInput}
    outputs = {"GET": FlagOutput, "PATCH": FlagOutput, "DELETE": {204: None}}
    versioned = ("PATCH", "DELETE")
    scopes = {"GET": (READ_FLAGS, WRITE_FLAGS), "PATCH": (WRITE_FLAGS,), "DELETE": (WRITE_FLAGS,)}
    queries = {"DELETE": ReasonQuery}

    def get(self, request: Request, key: str) -> Response:
        """Read a flag."""
        return _one(self.flag(key))

    def patch(self, request: Request, key: str) -> Response:
        """Change a flag."""
        body = self.body()
        stored = self.flag(key).version
        more = {name: body[name] for name in ("default_enabled", "channels") if name in body}
        with lost_races(request, stored):
            revisions.revise_flag(
                key,
                actor=self.principal.actor,
                reason=body["reason"],
                version=expected_version(request, stored, body["version"]),
                **more,
                **FlagPatch().describing(body),
            )
        return one(key)

    def delete(self, request: Request, key: str) -> Response:
        """Delete a flag for ever."""
        reason = self.body()["reason"] or self.query["reason"]
        stored = self.flag(key).version
        with lost_races(request, stored):
            version = expected_version(request, stored, None)
            changes.delete_flag(key, actor=self.principal.actor, reason=reason, version=version)
        return Response(status=204)


class ChannelView(AdminView):
    """A flag's answer for one release channel."""

    tag = "Flags"
    inputs = {"PUT": ChannelPut, "DELETE": ReasonInput}
    outputs = {"PUT": FlagOutput, "DELETE": {204: None}}
    versioned = ("PUT", "DELETE")
    scopes = {"PUT": (WRITE_FLAGS,), "DELETE": (WRITE_FLAGS,)}
    queries = {"DELETE": ReasonQuery}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not SLUG.fullmatch(kwargs["channel"]):
            raise Missing(f"There is no release channel {kwargs['channel'][:40]!r}.", code="CHANNEL_NOT_FOUND")

    def put(self, request: Request, key: str, channel: str) -> Response:
        """Give a flag an answer for a release channel."""
        body = self.body()
        stored = self.flag(key).version
        with lost_races(request, stored):
            changes.set_channel(
                key,
                channel,
                body["enabled"],
                percentage=body["percentage"],
                actor=self.principal.actor,
                reason=body["reason"],
                version=expected_version(request, stored, body["version"]),
            )
        return one(key)

    def delete(self, request: Request, key: str, channel: str) -> Response:
        """Take a channel's answer away."""
        reason = self.body()["reason"] or self.query["reason"]
        stored = self.flag(key).version
        with lost_races(request, stored):
            version = expected_version(request, stored, None)
            changes.remove_channel(key, channel, actor=self.principal.actor, reason=reason, version=version)
        return Response(status=204)


class KillView(AdminView):
    """Off for everybody, at once. A reason is required."""

    tag = "Flags"
    inputs = {"POST": ReasonInput}
    outputs = {"POST": FlagOutput}
    scopes = {"POST": (WRITE_FLAGS,)}

    def post(self, request: Request, key: str) -> Response:
        """Turn a flag off for everybody."""
        reason = self.body()["reason"]
        changes.kill(self.flag(key).key, actor=self.principal.actor, reason=reason)
        return one(key)


class ReviveView(AdminView):
    """The state before the kill, exactly. A reason is required."""

    tag = "Flags"
    inputs = {"POST": ReasonInput}
    outputs = {"POST": FlagOutput}
    scopes = {"POST": (WRITE_FLAGS,)}

    def post(self, request: Request, key: str) -> Response:
        """Take a kill back."""
        reason = self.body()["reason"]
        changes.revive(self.flag(key).key, actor=self.principal.actor, reason=reason)
        return one(key)
