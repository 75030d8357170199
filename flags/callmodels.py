"""What is remembered of calls to the API, so that one that is repeated is not done twice."""

import uuid

from django.db import models
from django.db.models import F


class AnsweredCall(models.Model):
    """A call that was answered, by who made it and the key they gave it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    caller = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="one_answer_per_caller_and_key")]
        indexes = [models.Index(F("created_at"), name="answered_calls_by_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"
