"""How a flag is released: the run from channel to channel, its gates with their sign-offs, and the evidence."""

import uuid

from django.db import models
from django.db.models import F, Q

from tenants.models import Company, ReleaseChannel, User


class GateTemplate(models.Model):
    """What has to hold before a flag may enter a channel. Copied when a release starts; later edits leave that be."""

    class Check(models.TextChoices):
        """What decides a gate: a person's word, or a fact that is looked up."""

        SIGN_OFF = "sign_off", "Sign-off"
        SOAK = "soak", "Soak time has passed"
        NO_SERVER_ERRORS = "no_server_errors", "No server errors since entry"
        ISOLATION_AUDIT = "isolation_audit", "Isolation audit passed since entry"
        REQUIRED_FLAGS = "required_flags", "Required flags are at least as far"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(ReleaseChannel, models.CASCADE, related_name="+")
    check_kind = models.CharField(max_length=20, choices=Check.choices, default=Check.SIGN_OFF)
    title = models.CharField(max_length=120)
    rank = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["channel__rank", "rank", "title"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "title"], name="one_gate_template_per_channel_and_title"),
            models.CheckConstraint(
                condition=Q(
                    check_kind__in=["sign_off", "soak", "no_server_errors", "isolation_audit", "required_flags"]
                ),
                name="gate_template_check_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Release(models.Model):
    """One run of a flag through the channels. A flag has at most one that is under way."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    flag = models.ForeignKey("flags.Flag", models.CASCADE, related_name="releases")
    channel = models.ForeignKey(ReleaseChannel, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flag"], condition=Q(ended_at__isnull=True), name="one_release_under_way_per_flag"
            ),
        ]
        indexes = [models.Index(F("channel"), F("entered_at"), name="releases_by_channel")]

    def __str__(self) -> str:
        return f"{self.flag_id} in {self.channel_id}"


class Gate(models.Model):
    """One gate of one release, before one channel."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    release = models.ForeignKey(Release, models.CASCADE, related_name="gates")
    channel = models.ForeignKey(ReleaseChannel, models.PROTECT, related_name="+")
    check_kind = models.CharField(max_length=20, choices=GateTemplate.Check.choices)
    title = models.CharField(max_length=120)
    rank = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["channel__rank", "rank", "title"]
        constraints = [
            models.UniqueConstraint(fields=["release", "channel", "title"], name="one_gate_per_release_and_title"),
        ]

    def __str__(self) -> str:
        return self.title


class GateSignOff(models.Model):
    """Somebody's word that a gate holds, for this stay in the channel: who, when, a note, a link."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    gate = models.ForeignKey(Gate, models.CASCADE, related_name="sign_offs")
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=254)
    at = models.DateTimeField()
    note = models.CharField(max_length=500, blank=True)
    link = models.URLField(max_length=500, blank=True)

    class Meta:
        ordering = ["-at", "id"]

    def __str__(self) -> str:
        return f"{self.gate_id} by {self.by_name}"


class Promotion(models.Model):
    """One step of a release: into a channel, or back. Kept for ever, with the evidence as it was then."""

    class Kind(models.TextChoices):
        START = "start", "Started"
        PROMOTE = "promote", "Promoted"
        ROLL_BACK = "roll_back", "Rolled back"
        END = "end", "Ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    release = models.ForeignKey(Release, models.CASCADE, related_name="promotions")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    from_channel = models.CharField(max_length=40, blank=True)
    to_channel = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=254)
    reason = models.CharField(max_length=500, blank=True)
    forced = models.BooleanField(default=False)
    evidence = models.JSONField(default=list)

    class Meta:
        ordering = ["-at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.to_channel}"


class Usage(models.Model):
    """How often a flag was asked for by a company on a day, what it answered, and what went wrong while it was on."""

    id = models.BigAutoField(primary_key=True)
    company = models.ForeignKey(Company, models.CASCADE, related_name="+")
    flag = models.ForeignKey("flags.Flag", models.CASCADE, related_name="+")
    day = models.DateField()
    on = models.PositiveBigIntegerField(default=0)
    off = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()
    last_error_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "flag", "day"], name="one_usage_row_per_company_flag_and_day"),
        ]
        indexes = [models.Index(F("flag"), F("day"), name="usage_of_a_flag")]

    def __str__(self) -> str:
        return f"{self.flag_id} {self.day}"


class DailyUsage(models.Model):
    """What all companies' usage of a flag comes to on a day, so that nobody has to add up a row for each of them.

    `last_on_at` is when it was last asked for and on; None where it never was, or before this was kept.
    """

    id = models.BigAutoField(primary_key=True)
    flag = models.ForeignKey("flags.Flag", models.CASCADE, related_name="+")
    day = models.DateField()
    on = models.PositiveBigIntegerField(default=0)
    off = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()
    last_on_at = models.DateTimeField(null=True)
    last_error_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flag", "day"], name="one_daily_usage_row_per_flag_and_day"),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} {self.day}"


class IsolationAudit(models.Model):
    """One run of the tenant isolation audit: what it found, and whether it counts as passed for a gate.

    `skipped` says in words what was left out; only a complete run, with nothing left out, counts. `company_slug` is set
    where the data of one company alone were looked at. A finding names tables and counts, never what is in a row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField()
    mode = models.CharField(max_length=10)
    by_name = models.CharField(max_length=254)
    company_slug = models.CharField(max_length=80, blank=True)
    passed = models.BooleanField()
    complete = models.BooleanField()
    checks = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=list)
    findings = models.JSONField(default=list)

    class Meta:
        ordering = ["-at", "id"]
        indexes = [models.Index(F("at").desc(), name="audits_newest_first")]

    def __str__(self) -> str:
        return f"Audit of {self.at:%Y-%m-%d %H:%M}"


class Mail(models.Model):
    """A message waiting to be sent, or sent. Written with the change that it tells of; sent once, by a command."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, null=True, related_name="+")
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(F("created_at"), name="mail_waiting", condition=Q(sent_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"
