"""What is under way for many companies at once: who wanted what for which of them, and how far it has come."""

import uuid

from django.db import models

from tenants.models import User


class Batch(models.Model):
    """One change for many companies, made in steps. Its id is that of its lines in history.

    `companies` are the ids it was begun for, in the order they are taken; `done` says how many have been. `unchanged`
    holds names, `refused` pairs of a name and why, both cut short; the counts are of all.
    """

    class Deed(models.TextChoices):
        TURN_ON = "turn_on", "Turn on by override"
        TURN_OFF = "turn_off", "Turn off by override"
        RESET = "reset", "Reset: take overrides away"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    flag = models.CharField(max_length=63)
    deed = models.CharField(max_length=20, choices=Deed.choices)
    reason = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True)
    companies = models.JSONField(default=list)
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
        return f"{self.deed} {self.flag}: {self.done} of {self.total}"

    @property
    def left(self) -> int:
        """How many companies have not been taken yet."""
        return self.total - self.done
