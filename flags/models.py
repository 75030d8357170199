"""What is on, for whom: flags, the answers that channels and companies give, grants, and history.

Data, constraints and querysets. Nothing here decides (that is evaluation) or writes (that is changes).
"""

import uuid

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from flags import batchmodels, callmodels, releasemodels, viewmodels  # noqa: F401 - Django finds all models of an app through this module
from tenants.models import Company, Plan, ReleaseChannel, User

KEY_PATTERN = r"\A[a-z][a-z0-9_]{1,62}\Z"
KEY = RegexValidator(
    KEY_PATTERN, "A key is 2 to 63 lower-case letters, digits and underscores, and begins with a letter."
)


class FlagQuerySet(models.QuerySet["Flag"]):
    """Questions about flags as people look at them."""

    def live(self) -> "FlagQuerySet":
        """Flags that are not archived."""
        return self.filter(archived_at=None)

    def killed(self) -> "FlagQuerySet":
        """Flags that are off for everybody (rule 2)."""
        return self.filter(Q(killed_at__isnull=False) | Q(is_killswitch=True, default_enabled=False))

    def visible_to(self, user: User | None) -> "FlagQuerySet":
        """Flags this person may see: a super admin all, anybody else none that is internal."""
        return self if user is not None and user.is_superuser and user.is_active else self.filter(is_internal=False)


class Flag(models.Model):
    """The definition of a feature. Its key is permanent, and is never free again once deleted."""

    key = models.CharField(primary_key=True, max_length=63, validators=[KEY])
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, max_length=5000)
    category = models.CharField(max_length=40, default="general")
    owner = models.CharField(max_length=120, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    default_enabled = models.BooleanField(default=False)
    # What the flag falls back to when no operator has spoken; written by every sync, so that SQL can read it.
    inherited_enabled = models.BooleanField(default=False, editable=False)
    inherited_from = models.CharField(max_length=12, default="", blank=True, editable=False)
    is_default_set = models.BooleanField(default=True, editable=False)
    is_internal = models.BooleanField(default=False)
    is_killswitch = models.BooleanField(default=False)
    killed_at = models.DateTimeField(null=True, blank=True)
    killed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    kill_reason = models.CharField(max_length=500, blank=True)
    needs_grant = models.BooleanField(default=False)
    minimum_plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="+")
    is_self_service = models.BooleanField(default=False)
    requires = models.ManyToManyField("self", symmetrical=False, through="Requirement", related_name="dependents")
    archived_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = FlagQuerySet.as_manager()

    class Meta:
        ordering = ["category", "name", "key"]
        constraints = [
            models.CheckConstraint(condition=Q(key__regex=r"^[a-z][a-z0-9_]{1,62}$"), name="key_is_lower_snake"),
            models.CheckConstraint(condition=~Q(name=""), name="flag_has_a_name"),
            models.CheckConstraint(condition=~Q(category=""), name="flag_has_a_category"),
            models.CheckConstraint(
                condition=Q(inherited_from__in=["", "environment", "catalogue"]), name="default_comes_from_somewhere"
            ),
        ]
        indexes = [
            models.Index(F("category"), F("name"), F("key"), name="flags_by_category"),
            models.Index(Lower("name"), name="flags_by_lower_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_killed(self) -> bool:
        """Rule 2: pulled by somebody, or a kill switch that rests on off."""
        return self.killed_at is not None or (self.is_killswitch and not self.default_enabled)

    @property
    def default_source(self) -> str:
        """Who gave the default: operator, environment or catalogue (DESIGN section 2).

        A default that raw SQL moved away from what is inherited was set by an operator, too.
        """
        if self.is_default_set or self.default_enabled != self.inherited_enabled or not self.inherited_from:
            return "operator"
        return self.inherited_from


class RetiredKey(models.Model):
    """A key whose flag was deleted. Kept for ever, so that what was granted under it can never revive."""

    key = models.CharField(primary_key=True, max_length=63)
    retired_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key


class Requirement(models.Model):
    """A flag that must be on for the same company, for another to be on (rule 5)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    flag = models.ForeignKey(Flag, models.CASCADE, related_name="requirements")
    requires = models.ForeignKey(Flag, models.PROTECT, related_name="requirements_of_others")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flag", "requires"], name="one_requirement_per_pair"),
            models.CheckConstraint(condition=~Q(flag=F("requires")), name="flag_does_not_require_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} requires {self.requires_id}"


class ChannelDefault(models.Model):
    """A flag's answer for one release channel: off, or on for a percentage of its companies (rule 9)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    flag = models.ForeignKey(Flag, models.CASCADE, related_name="channel_defaults")
    channel = models.ForeignKey(ReleaseChannel, models.PROTECT, related_name="answers")
    enabled = models.BooleanField()
    percentage = models.PositiveSmallIntegerField(default=100, validators=[MaxValueValidator(100)])
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flag", "channel"], name="one_answer_per_flag_and_channel"),
            models.CheckConstraint(condition=Q(percentage__lte=100), name="percentage_is_at_most_100"),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} on {self.channel_id}"


class Override(models.Model):
    """A company's own answer, set by a super admin with a reason (rule 6)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Each begins an index of its own below; two more would only make a million rows slower to write.
    company = models.ForeignKey(Company, models.CASCADE, related_name="+", db_index=False)
    flag = models.ForeignKey(Flag, models.CASCADE, related_name="overrides", db_index=False)
    enabled = models.BooleanField()
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["company__name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["company", "flag"], name="one_override_per_company"),
        ]
        indexes = [
            models.Index(F("flag"), F("enabled"), F("company"), name="overrides_of_a_flag"),
            # With all that lists of what ends soon ask for, so that they read nothing but this.
            models.Index(
                F("expires_at"),
                F("flag"),
                F("company"),
                name="overrides_by_expiry",
                condition=Q(expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} for {self.company_id}"

    @property
    def has_expired(self) -> bool:
        """Whether it has stopped counting by itself."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


class OptIn(models.Model):
    """A company's own choice of a self-service flag (rule 8, seed 004)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, related_name="+")
    flag = models.ForeignKey(Flag, models.CASCADE, related_name="opt_ins")
    enabled = models.BooleanField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "flag"], name="one_choice_per_company"),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} chosen by {self.company_id}"


class Grant(models.Model):
    """One person's permission, or denial, to use a flag inside a company (rules 11 and 12)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    flag = models.ForeignKey(Flag, models.CASCADE, related_name="grants")
    enabled = models.BooleanField(default=True)
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "flag", "user"], name="one_grant_per_company_and_person"),
        ]
        indexes = [models.Index(F("flag"), F("company"), name="grants_of_a_flag")]

    def __str__(self) -> str:
        return f"{self.flag_id} for {self.user_id}"

    @property
    def has_expired(self) -> bool:
        """Whether it has stopped counting by itself."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


DEFAULT_VERBS = ("create_flag", "set_default", "inherit_default", "sync_default")
"""What moves the default of a flag, in history."""


class Change(models.Model):
    """One line of history. Append-only in the database itself; names stand as they were then, not as keys.

    `before` and `after` hold the changed fields only, and what says which row it was. `company_slug` and
    `company_name` are empty for a change that concerns no single company.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254)
    actor_name = models.CharField(max_length=120, blank=True)
    actor_id = models.UUIDField(null=True)
    via = models.CharField(max_length=20)
    verb = models.CharField(max_length=40)
    flag = models.CharField(max_length=63, blank=True)
    flag_name = models.CharField(max_length=120, blank=True)
    company_id = models.UUIDField(null=True)
    company_slug = models.CharField(max_length=80, blank=True)
    company_name = models.CharField(max_length=120, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    batch = models.UUIDField(null=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(F("at").desc(), F("id").desc(), name="changes_newest_first"),
            models.Index(F("flag"), F("at").desc(), F("id").desc(), name="changes_of_a_flag"),
            models.Index(F("company_id"), F("at").desc(), F("id").desc(), name="changes_of_a_company"),
            models.Index(F("actor_id"), F("at").desc(), F("id").desc(), name="changes_of_an_actor"),
            models.Index(F("batch"), name="changes_of_a_batch", condition=Q(batch__isnull=False)),
            models.Index(F("request_id"), name="changes_of_a_request"),
            models.Index(F("flag"), F("at"), name="changes_of_a_default", condition=Q(verb__in=DEFAULT_VERBS)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.flag}"


class Version(models.Model):
    """How often what a scope's answers rest on was changed. Bumped by database triggers, never by code.

    The nil UUID is the global scope (flags, channels, prerequisites); any other is a company's
    (overrides, opt-ins, grants, memberships, its own channel and plan).
    """

    scope = models.UUIDField(primary_key=True)
    n = models.BigIntegerField(default=0)

    class Meta:
        db_table = "flags_version"

    def __str__(self) -> str:
        return f"{self.scope}: {self.n}"


class Tally(models.Model):
    """A part of a count that pages show; the sum over `what` and `name` is the count. Kept by triggers, never by code.

    `what` is overrides_on or overrides_off, of the flag that `name` is the key of; or companies, the active ones on the
    release channel so named.
    """

    what = models.CharField(max_length=20)
    name = models.CharField(max_length=63)
    n = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(F("what"), F("name"), name="tallies_by_name")]

    def __str__(self) -> str:
        return f"{self.what} of {self.name}: {self.n}"
