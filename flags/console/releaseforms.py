"""What people type when they steer a release. Forms parse and complain; they change nothing."""

from django import forms

from flags.console.forms import ChangeForm, FilterForm
from flags.impact import Proposed
from flags.standing import Standing


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
