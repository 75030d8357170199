"""What the forms say that change many at once, and the wish that they make."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict

from flags import overview
from flags.batchmodels import Batch
from flags.bulk import MOST, Wish
from flags.console.forms import MINUTE, FlagField
from flags.models import Flag
from flags.querytext import LONGEST
from flags.roster import count_up_to
from tenants.models import Company, ReleaseChannel, Role

NAMED = 12
Deed = Batch.Deed
OVERRIDES = [(deed.value, str(deed.label)) for deed in (Deed.TURN_ON, Deed.TURN_OFF, Deed.RESET)]
GRANTS = [(Deed.GRANT.value, "Grant it"), (Deed.DENY.value, "Deny it")]
CHANNELS = [(Deed.CHANNEL_ON.value, "Turn on"), (Deed.CHANNEL_OFF.value, "Turn off")]
ROLES = [("", "Everybody"), *((value, f"{label}s only") for value, label in Role.choices)]


@dataclass(frozen=True)
class Chosen:
    """What is meant, by ticks or by a query. `problems` are words of the query that were not understood."""

    rows: QuerySet | None
    problems: list[str]

    @cached_property
    def number(self) -> int:
        """How many there are, or one more than can be changed at once for that many and more. One query."""
        return 0 if self.rows is None else count_up_to(self.rows, MOST + 1)

    @cached_property
    def ids(self) -> list[Any]:
        """All of them by name, up to one more than can be changed at once. One query."""
        if self.rows is None:
            return []
        return list(self.rows.order_by("name", "pk").values_list("pk", flat=True)[: MOST + 1])

    @cached_property
    def names(self) -> list[str]:
        """What the first are called. One query."""
        if self.rows is None:
            return []
        return list(self.rows.order_by("name", "pk").values_list("name", flat=True)[:NAMED])

    @property
    def more(self) -> int:
        """How many there are besides those named."""
        return self.number - len(self.names)


class _BulkForm(forms.Form):
    """What both have. Those ticked come from a list which says `chosen`; without that, all that match `q` are meant."""

    q = forms.CharField(required=False, max_length=LONGEST)
    chosen = forms.BooleanField(required=False)
    channel = forms.ModelChoiceField(
        ReleaseChannel.objects.order_by("rank"),
        required=False,
        error_messages={"invalid_choice": "There is no such channel. Choose one from the list."},
    )
    expires_at = forms.DateTimeField(
        required=False, input_formats=[MINUTE], error_messages={"invalid": "Write it as 2027-03-03T14:00."}
    )
    reason = forms.CharField(required=False, max_length=500)
    expected = forms.IntegerField(required=False, min_value=0)
    batch = forms.UUIDField(required=False)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What was said, to be said again when it is confirmed."""
        again = [name for name in self.fields if name not in ("reason", "expected", "batch")]
        sent = cast(QueryDict, self.data)
        return [(name, value) for name in again for value in sent.getlist(name) if value]

    def only(self, *names: str) -> list[tuple[str, str]]:
        """What was said of these."""
        return [pair for pair in self.kept if pair[0] in names]

    @property
    def is_clean(self) -> bool:
        return not self.errors


class BulkCompaniesForm(_BulkForm):
    """For which companies: an override of a flag, another channel, or grants to their people."""

    WHAT = [("override", "Override a flag"), ("move", "Move to a channel"), ("grant", "Grant to people")]

    what = forms.ChoiceField(required=False, choices=WHAT)
    company = forms.ModelMultipleChoiceField(
        Company.objects.all(),
        to_field_name="slug",
        required=False,
        error_messages={"invalid_choice": "There is no company %(value)s any more. Choose again."},
    )
    flag = FlagField(required=False)
    deed = forms.ChoiceField(required=False, choices=OVERRIDES + GRANTS)
    role = forms.ChoiceField(required=False, choices=ROLES)

    def clean_flag(self) -> Flag | None:
        """Refuse to grant what everybody of a company has with the company."""
        flag: Flag | None = self.cleaned_data["flag"]
        if flag is not None and self.cleaned_data.get("what") == "grant" and not flag.needs_grant:
            raise forms.ValidationError(f"{flag.name} needs no grant: people have it with their company.")
        return flag

    @property
    def wish(self) -> Wish | None:
        """What shall become of each, or None while that is not said."""
        said: dict[str, Any] = self.cleaned_data
        what, flag, deed = said.get("what") or "override", said.get("flag"), said.get("deed", "")
        if what == "move":
            channel = said.get("channel")
            return Wish(Deed.MOVE, channel=channel.pk) if channel else None
        if flag is None or deed not in dict(GRANTS if what == "grant" else OVERRIDES):
            return None
        return Wish(deed, flag=flag.key, expires_at=said.get("expires_at"))


class BulkFlagsForm(_BulkForm):
    """For which flags: an override of one company, or the answer of a channel."""

    WHAT = [("override", "Override for a company"), ("channel", "Answer of a channel")]

    what = forms.ChoiceField(required=False, choices=WHAT)
    flag = forms.ModelMultipleChoiceField(
        Flag.objects.live(),
        to_field_name="key",
        required=False,
        error_messages={"invalid_choice": "There is no flag %(value)s any more. Choose again."},
    )
    company = forms.CharField(required=False, max_length=120)
    deed = forms.ChoiceField(required=False, choices=OVERRIDES + CHANNELS)
    percentage = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=100,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), "A whole number from 0 to 100."),
    )

    def clean_company(self) -> Company | None:
        """Return the company of this slug or name."""
        text = self.cleaned_data["company"]
        company = overview.find_company(text) if text else None
        if text and company is None:
            raise forms.ValidationError("There is no such company. Write its name or slug, such as globex.")
        return company

    @property
    def wish(self) -> Wish | None:
        """What shall become of each, or None while that is not said."""
        said: dict[str, Any] = self.cleaned_data
        what, deed = said.get("what") or "override", said.get("deed", "")
        if what == "channel":
            channel, percentage = said.get("channel"), said.get("percentage")
            if channel is None or deed not in dict(CHANNELS):
                return None
            share = 100 if percentage is None else percentage
            return Wish(deed, channel=channel.pk, percentage=share if deed == Deed.CHANNEL_ON else 100)
        if said.get("company") is None or deed not in dict(OVERRIDES):
            return None
        return Wish(deed, company=said["company"], expires_at=said.get("expires_at"))


class UndoForm(forms.Form):
    """Why a batch is taken back, how many lines one was shown, and the id that the new batch begins under."""

    reason = forms.CharField(required=False, max_length=500)
    expected = forms.IntegerField(required=False, min_value=0)
    batch = forms.UUIDField()
