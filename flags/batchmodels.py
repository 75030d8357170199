"""What is under way for many things at once: who wanted what for which of them, and how far it has come."""

import uuid

from django.db import models

from tenants.models import User


class Batch(models.Model):
    """One change for many companies, people or flags, made in steps. Its id is that of its lines in history.

    `subjects` are what it was begun for, in the order they are taken: ids of companies, of memberships or of lines of
    history, or keys of flags, as `of` says. `done` says how many have been taken. `unchanged` holds names, `refused`
    pairs of a name and why, both cut short; the counts are of all. `name` is what pages call it.
    """

    class Deed(models.TextChoices):
        TURN_ON = "turn_on", "Turn on by override"
        TURN_OFF = "turn_off", "Turn off by override"
        RESET = "reset", "Reset: take overrides away"
        MOVE = "move", "Move to a channel"
        GRANT = "grant", "Grant"
        DENY = "deny", "Deny"
        CHANNEL_ON = "channel_on", "On in a channel"
        CHANNEL_OFF = "channel_off", "Off in a channel"
        UNDO = "undo", "Take back"

    class Subject(models.TextChoices):
        COMPANIES = "companies", "companies"
        PEOPLE = "people", "people"
        FLAGS = "flags", "flags"
        LINES = "lines", "changes"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    of = models.CharField(max_length=20, choices=Subject.choices, default=Subject.COMPANIES)
    deed = models.CharField(max_length=20, choices=Deed.choices)
    name = models.CharField(max_length=300, blank=True)
    flag = models.CharField(max_length=63, blank=True)
    channel = models.CharField(max_length=63, blank=True)
    percentage = models.PositiveSmallIntegerField(default=100)
    company = models.UUIDField(null=True)
    undoes = models.UUIDField(null=True)
    reason = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True)
    subjects = models.JSONField(default=list)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    unchanged = models.JSONField(default=list)
    refused = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [models.Index(fields=["person", "finished_at"], name="batches_of_a_person")]

    def __str__(self) -> str:
        return f"{self.name}: {self.done} of {self.total}"

    @property
    def left(self) -> int:
        """How many have not been taken yet."""
        return self.total - self.done

    @property
    def things(self) -> str:
        """What it is about, in as many as there are: "1 company", "12 flags"."""
        word = self.Subject(self.of).label
        if self.total == 1:
            word = {"companies": "company", "people": "person", "flags": "flag", "changes": "change"}[word]
        return f"{self.total} {word}"
