"""Releases as super admins steer them: /api/admin/feature-flags/<key>/release and what lies beside it."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags import archiving, gatetemplates, outbox, releases, rollbacks, standing
from flags.api.base import READ_FLAGS, WRITE_FLAGS, AdminView, created
from flags.api.fields import Bool, Input, PageQuery, ReasonInput, ReasonQuery, Text, Whole
from flags.api.flags import FlagOutput, one
from flags.api.naming import find_company
from flags.api.paging import by_number, listed
from flags.api.preconditions import expected_version, lost_races
from flags.api.rehearsals import MessageOutput
from flags.api.releaseshapes import PromotionOutput, ReleaseOutput, shown_release
from flags.exceptions import Invalid, Missing
from flags.gates import release_under_way
from flags.impact import companies_gaining
from flags.releasemodels import GateTemplate, Promotion
from tenants.models import Company

WRITE_RELEASES = "releases:write"
MOST_COMPANIES = 1000
EVERYBODY = "all"


class PromoteInput(ReasonInput):
    """How to promote. `seen` is the channel the caller takes the flag to be in; by default the one it is in now."""

    force = Bool(required=False, default=False)
    percentage = Whole(required=False, default=100, min_value=0, max_value=100)
    tell = Bool(required=False, default=False)
    seen = Text(required=False, allow_null=True, default=None, max_length=40)
    version = Whole(required=False, allow_null=True, default=None)


class Companies(serializers.ListField):
    """Companies by slug or UUID, or the word "all"."""

    child = Text(max_length=80)

    def to_internal_value(self, data: Any) -> Any:
        if data == EVERYBODY:
            return EVERYBODY
        if isinstance(data, str):
            raise serializers.ValidationError('Give a list of companies, or "all".')
        return super().to_internal_value(data)


class RollbackInput(ReasonInput):
    """Where to go back to: `to` a channel, or null for out of all; or `companies` to take the flag from."""

    to = Text(required=False, allow_null=True, max_length=40)
    companies = Companies(required=False, max_length=MOST_COMPANIES, allow_empty=False)
    version = Whole(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("to" in attrs) == ("companies" in attrs):
            raise serializers.ValidationError({"to": ['Say either "to" (a channel, or null) or "companies".']})
        return attrs


class SignOffInput(Input):
    """One's word that a gate holds."""

    note = Text(required=False, allow_blank=True, default="", max_length=500)
    link = Text(required=False, allow_blank=True, default="", max_length=500)


class GateInput(ReasonInput):
    """A gate that releases are to begin with."""

    channel = Text(max_length=40)
    title = Text(max_length=120)
    kind = serializers.ChoiceField(GateTemplate.Check.values, required=False, default=GateTemplate.Check.SIGN_OFF)
    rank = Whole(required=False, default=100, min_value=0, max_value=1000)


class GatePatch(ReasonInput):
    """What to change of it."""

    title = Text(required=False, max_length=120)
    rank = Whole(required=False, min_value=0, max_value=1000)


class GateTemplateOutput(serializers.Serializer):
    """A gate that releases begin with."""

    id = serializers.UUIDField()
    channel = serializers.CharField(source="channel_id")
    kind = serializers.CharField(source="check_kind")
    title = serializers.CharField()
    rank = serializers.IntegerField()


class BatchOutput(serializers.Serializer):
    """What a batch did, and its id in history, by which it can be undone as one."""

    batch = serializers.UUIDField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class ReleaseOfFlagOutput(ReleaseOutput):
    """A release, with its flag's key."""

    key = serializers.CharField(source="flag.key")


class ReleaseWithStepsOutput(ReleaseOutput):
    """A release with all its steps, the latest first."""

    history = PromotionOutput(many=True)


class RolledBackOutput(FlagOutput):
    """A flag, and what became of companies where it was taken from those."""

    rolled_back = BatchOutput(required=False)


class ReleasesView(AdminView):
    """Every release under way."""

    tag = "Releases"
    outputs = {"GET": listed(ReleaseOfFlagOutput)}
    scopes = {"GET": (READ_FLAGS, WRITE_RELEASES)}
    queries = {"GET": PageQuery}

    def get(self, request: Request) -> Response:
        """List the releases under way."""

        def shown(found: Any) -> list[dict[str, Any]]:
            return [dict(ReleaseOfFlagOutput(one).data) for one in standing.standings(found)]

        return Response(by_number(request, standing.under_way(), self.query, shown))


class ReleaseView(AdminView):
    """A flag's release: how it stands with all its steps, and its beginning."""

    tag = "Releases"
    inputs = {"POST": ReasonInput}
    outputs = {"GET": ReleaseWithStepsOutput, "POST": {201: FlagOutput}}
    scopes = {"GET": (READ_FLAGS, WRITE_RELEASES), "POST": (WRITE_RELEASES,)}

    def get(self, request: Request, key: str) -> Response:
        """Read a release with all its steps."""
        found = standing.of(self.flag(key).key)
        if found is None:
            raise Missing(f"No release of {key!r} is under way.", code="NO_RELEASE")
        steps = Promotion.objects.filter(release=found.release)
        history = PromotionOutput(steps, many=True).data
        return Response({**(shown_release(found) or {}), "history": history})

    def post(self, request: Request, key: str) -> Response:
        """Start a release: on in the first channel, off in every later one."""
        reason = self.body()["reason"]
        releases.start(self.flag(key).key, actor=self.principal.actor, reason=reason)
        return one(key, 201)


class VerbView(AdminView):
    """A verb that takes a reason and nothing else, and answers the flag as it then is."""

    tag = "Releases"
    inputs = {"POST": ReasonInput}
    outputs: ClassVar[Mapping[str, Any]] = {"POST": FlagOutput}
    scopes = {"POST": (WRITE_RELEASES,)}

    def act(self, verb: Callable[..., Any], key: str) -> Response:
        """Do it, and return the flag."""
        verb(self.flag(key).key, actor=self.principal.actor, reason=self.body()["reason"])
        return one(key)


class PauseView(VerbView):
    """Nothing is promoted, and the soak stands still. The answers stay."""

    def post(self, request: Request, key: str) -> Response:
        """Hold a release where it is."""
        return self.act(releases.pause, key)


class ResumeView(VerbView):
    """The time it was held does not count as soak."""

    def post(self, request: Request, key: str) -> Response:
        """Let a release go on."""
        return self.act(releases.resume, key)


class FinishView(VerbView):
    """Its answers stay, and its gates no longer stand in the way."""

    def post(self, request: Request, key: str) -> Response:
        """End a release that has reached the last channel."""
        return self.act(releases.finish, key)


class ArchiveView(VerbView):
    """It leaves the lists, keeps its history, and answers its last default from then on."""

    tag = "Flags"
    scopes = {"POST": (WRITE_FLAGS,)}

    def post(self, request: Request, key: str) -> Response:
        """Put a flag away."""
        return self.act(archiving.archive, key)


class RestoreView(VerbView):
    """Everything that was stored counts again."""

    tag = "Flags"
    scopes = {"POST": (WRITE_FLAGS,)}

    def post(self, request: Request, key: str) -> Response:
        """Bring an archived flag back."""
        return self.act(archiving.restore, key)


class PromoteView(AdminView):
    """Into the next channel, if its gates hold. What is open is named in `gates`."""

    tag = "Releases"
    inputs = {"POST": PromoteInput}
    outputs = {"POST": FlagOutput}
    versioned = ("POST",)
    scopes = {"POST": (WRITE_RELEASES,)}

    def post(self, request: Request, key: str) -> Response:
        """Let a flag into its next channel."""
        body = self.body()
        flag = self.flag(key)
        # Of two who call at once, each has seen the same channel, and only one is right when it comes to it.
        release = release_under_way(key)
        seen = body["seen"] or (release.channel_id if release is not None else None)
        with lost_races(request, flag.version):
            releases.promote(
                key,
                actor=self.principal.actor,
                reason=body["reason"],
                force=body["force"],
                percentage=body["percentage"],
                tell=body["tell"],
                seen=seen,
                version=expected_version(request, flag.version, body["version"]),
            )
        return one(key)

    def _rehearse(self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
        answer = super()._rehearse(handler, request, *args, **kwargs)
        found = standing.of(kwargs["key"])
        assert found is not None, "what could be promoted has a release"
        gaining = companies_gaining(found.promotion(self.body()["percentage"]))
        told = outbox.preview(found.flag, gaining)
        message = None if told.message is None else MessageOutput(told.message).data
        answer.data |= {"recipients": told.recipients, "message": message}
        return answer


class RollbackView(AdminView):
    """Back to an earlier channel, or out of all; or off for some companies, or for all that have it."""

    tag = "Releases"
    inputs = {"POST": RollbackInput}
    outputs = {"POST": RolledBackOutput}
    versioned = ("POST",)
    scopes = {"POST": (WRITE_RELEASES,)}

    def post(self, request: Request, key: str) -> Response:
        """Take a flag back: from channels, or from companies."""
        body = self.body()
        flag, actor, reason = self.flag(key), self.principal.actor, body["reason"]
        with lost_races(request, flag.version):
            version = expected_version(request, flag.version, body["version"])
            if "to" in body:
                releases.roll_back(key, body["to"], actor=actor, reason=reason, version=version)
                return one(key)
            companies = None if body["companies"] == EVERYBODY else self.companies(body["companies"])
            outcome = rollbacks.roll_back_companies(key, companies, actor=actor, reason=reason, version=version)
        response = one(key)
        response.data["rolled_back"] = BatchOutput(outcome).data
        return response

    def companies(self, names: list[str]) -> list[Company]:
        """Return the companies so named. Raises Invalid for one that there is not."""
        found = []
        for index, name in enumerate(names):
            try:
                found.append(find_company(name, self.principal))
            except Missing as error:
                raise Invalid(
                    error.detail, code="COMPANY_NOT_FOUND", errors={f"companies[{index}]": ["No such company."]}
                ) from error
        return found


class SignOffView(AdminView):
    """One's word that a gate holds, for this stay in the channel."""

    tag = "Releases"
    inputs = {"POST": SignOffInput}
    outputs = {"POST": FlagOutput}
    scopes = {"POST": (WRITE_RELEASES,)}

    def post(self, request: Request, key: str, gate: UUID) -> Response:
        """Sign a gate off."""
        body = self.body()
        releases.sign_off(self.flag(key).key, gate, actor=self.principal.actor, **body)
        return one(key)


class UndoView(AdminView):
    """Bring back the overrides that a batch replaced, as one."""

    tag = "Overrides"
    inputs = {"POST": ReasonInput}
    outputs = {"POST": BatchOutput}
    scopes = {"POST": (WRITE_RELEASES, WRITE_FLAGS)}

    def post(self, request: Request, batch: UUID) -> Response:
        """Undo a batch of overrides."""
        reason = self.body()["reason"]
        return Response(BatchOutput(rollbacks.undo_batch(batch, actor=self.principal.actor, reason=reason)).data)


class GatesView(AdminView):
    """The gates that releases begin with. Releases in flight keep theirs."""

    tag = "Releases"
    inputs = {"POST": GateInput}
    outputs = {"GET": listed(GateTemplateOutput), "POST": {201: GateTemplateOutput}}
    scopes = {"GET": (READ_FLAGS, WRITE_RELEASES), "POST": (WRITE_RELEASES,)}

    def get(self, request: Request) -> Response:
        """List the gates that releases begin with."""
        rows = GateTemplateOutput(gatetemplates.templates(), many=True).data
        return Response({"results": rows, "next": None, "previous": None})

    def post(self, request: Request) -> Response:
        """Add a gate."""
        body = self.body()
        gate = gatetemplates.add_gate(
            body["channel"],
            body["title"],
            actor=self.principal.actor,
            check_kind=body["kind"],
            rank=body["rank"],
            reason=body["reason"],
        )
        return created(GateTemplateOutput(gate).data, request.build_absolute_uri(f"{request.path}/{gate.pk}"))


class GateView(AdminView):
    """One of them."""

    tag = "Releases"
    inputs = {"PATCH": GatePatch, "DELETE": ReasonInput}
    outputs = {"PATCH": GateTemplateOutput, "DELETE": {204: None}}
    scopes = {"PATCH": (WRITE_RELEASES,), "DELETE": (WRITE_RELEASES,)}
    queries = {"DELETE": ReasonQuery}

    def patch(self, request: Request, gate: UUID) -> Response:
        """Edit a gate."""
        found = gatetemplates.edit_gate(gate, actor=self.principal.actor, **self.body())
        return Response(GateTemplateOutput(found).data)

    def delete(self, request: Request, gate: UUID) -> Response:
        """Remove a gate."""
        reason = self.body()["reason"] or self.query["reason"]
        gatetemplates.remove_gate(gate, actor=self.principal.actor, reason=reason)
        return Response(status=204)
