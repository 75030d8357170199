"""What a person keeps for themselves at the console: queries under a name."""

import uuid

from django.db import models
from django.db.models import F
from django.db.models.functions import Lower

from tenants.models import User


class SavedView(models.Model):
    """A query of one list that a person keeps under a name. Nobody else sees it, and it moves no answer."""

    class Of(models.TextChoices):
        FLAGS = "flags", "Flags"
        COMPANIES = "companies", "Companies"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    of = models.CharField(max_length=20, choices=Of.choices)
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = [Lower("name"), "id"]
        constraints = [
            models.UniqueConstraint(F("person"), F("of"), Lower("name"), name="one_saved_view_per_name"),
        ]

    def __str__(self) -> str:
        return self.name
