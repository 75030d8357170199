"""What people type when they steer a release. Forms parse and complain; they change nothing."""

from typing import Any

from django import forms
from django.http import QueryDict

from flags.console.forms import ChangeForm, FilterForm
from flags.evaluation import OverrideFact
from flags.impact import Proposed
from flags.releasemodels import GateTemplate
from flags.standing import Standing
from tenants.models import Company, ReleaseChannel

MOST_COMPANIES = 1000


class BoardFilterForm(FilterForm):
    """Which releases the board shows."""

    q = forms.CharField(required=False, max_length=100)


class PickFlagForm(FilterForm):
    """Which flag is meant, by key or name."""

    flag = forms.CharField(required=False, max_length=120)


class PromoteForm(ChangeForm):
    """How far, whether past open gates, and whether to tell. `seen` is the channel it was in when one looked."""

    percentage = forms.IntegerField(required=False)
    force = forms.BooleanField(required=False)
    tell = forms.BooleanField(required=False)
    seen = forms.CharField(required=False, max_length=40)

    def clean_percentage(self) -> int:
        given = self.cleaned_data["percentage"]
        return 100 if given is None else given

    def proposes(self, standing: Standing) -> Proposed:
        """Return what promoting would do; a share that cannot be is taken for the nearest that can."""
        return standing.promotion(min(max(self.cleaned_data["percentage"], 0), 100))


class RollBackForm(ChangeForm):
    """Where to go back to: a channel, or nothing for out of all."""

    to = forms.CharField(required=False, max_length=40)


class SignOffForm(ChangeForm):
    """One's word that a gate holds."""

    note = forms.CharField(required=False)
    link = forms.CharField(required=False)


class GateTemplateForm(ChangeForm):
    """A gate that releases begin with. What it checks and which channel it stands before are said when it is added."""

    title = forms.CharField(required=False, max_length=500)
    channel = forms.ModelChoiceField(ReleaseChannel.objects.none(), required=False, empty_label=None)
    check_kind = forms.ChoiceField(required=False, choices=GateTemplate.Check.choices, label="Opens")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = ReleaseChannel.objects.order_by("rank").values("rank")[:1]
        later = ReleaseChannel.objects.filter(rank__gt=first).order_by("rank")
        self.fields["channel"].queryset = later  # type: ignore[attr-defined]


class MoveForm(ChangeForm):
    """One place up, or down."""

    places = forms.TypedChoiceField(choices=[("-1", "Up"), ("1", "Down")], coerce=int)


class TakeForm(ChangeForm):
    """Which companies to take a feature from: those chosen, by slug, or all that have it."""

    company = forms.MultipleChoiceField(required=False)
    everybody = forms.BooleanField(required=False)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        wanted = data.getlist("company")[:MOST_COMPANIES]
        self.companies = list(Company.objects.filter(slug__in=wanted).order_by("name"))
        self.fields["company"].choices = [(company.slug, company.name) for company in self.companies]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        if not self.companies and not self.cleaned_data.get("everybody"):
            raise forms.ValidationError("Choose the companies first, or take it from all that have it.")
        return self.cleaned_data

    def proposes(self, key: str) -> Proposed:
        """Return what taking it would do."""
        off = OverrideFact(False)
        if self.cleaned_data["everybody"]:
            return Proposed(key, for_all=off)
        return Proposed(key, overrides={company.pk: off for company in self.companies})
