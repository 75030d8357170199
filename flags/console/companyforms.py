"""What people type about companies, their people and tokens. Forms parse and complain; they change nothing."""

from typing import Any

from django import forms

from flags.console.forms import MINUTE, ChangeForm, CursorForm, FilterForm, FlagField, OnOffField
from flags.exceptions import Conflict
from tenants.models import SLUG, ApiToken, Company, Plan, ReleaseChannel, Role
from tenants.tokens import SCOPES

FEATURE_STATES = (
    ("", "All"),
    ("on", "On"),
    ("off", "Off"),
    ("overridden", "Overridden"),
    ("differs", "Differs"),
    ("expiring", "Expiring"),
    ("redundant", "Redundant"),
)
ROLES = (("", "Any role"), *Role.choices)
TOKEN_STATES = (("", "All"), ("good", "Working"), ("ended", "Ended"))
SCOPE_WORDS = {
    "evaluate": "Ask which features are on",
    "flags:read": "Read flags, overrides and companies",
    "flags:write": "Change flags and overrides",
    "releases:write": "Promote and roll back",
    "tenants:write": "Change companies, people, grants and overrides",
    "audit:read": "Read history and audits",
}


class FeatureFilterForm(FilterForm):
    """Which of a company's features are shown."""

    q = forms.CharField(required=False, max_length=100)
    state = forms.ChoiceField(required=False, choices=FEATURE_STATES)


class PeopleFilterForm(CursorForm):
    """Which of a company's people are shown."""

    q = forms.CharField(required=False, max_length=120)
    role = forms.ChoiceField(required=False, choices=ROLES)
    flag = forms.CharField(required=False, max_length=63)


class TokenFilterForm(CursorForm):
    """Which tokens are shown."""

    state = forms.ChoiceField(required=False, choices=TOKEN_STATES)


class CompanyForm(ChangeForm):
    """What a company is called, and where it stands. `confirmed` names the move whose impact was seen."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    channel = forms.ModelChoiceField(
        ReleaseChannel.objects.none(), empty_label=None, help_text="Which companies get new features first."
    )
    plan = forms.ModelChoiceField(Plan.objects.none(), empty_label=None, help_text="What the company pays for.")
    reason = forms.CharField(required=False, max_length=500, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"].queryset = ReleaseChannel.objects.all()  # type: ignore[attr-defined]
        self.fields["plan"].queryset = Plan.objects.all()  # type: ignore[attr-defined]

    @property
    def described(self) -> dict[str, Any]:
        """The fields as `companies` takes them."""
        said = self.cleaned_data
        return {"name": said["name"], "channel": said["channel"].slug, "plan": said["plan"].slug}

    @property
    def fingerprint(self) -> str:
        """The move that was asked for. Confirming counts for that one, and not for what was chosen afterwards."""
        return f"{self.cleaned_data['channel'].slug} {self.cleaned_data['plan'].slug}"

    @property
    def is_confirmed(self) -> bool:
        """Whether this very move was seen with its impact."""
        return self.cleaned_data["confirmed"] == self.fingerprint

    def differences(self, conflict: Conflict) -> list[tuple[str, Any, Any]]:
        """Return the fields that somebody else changed meanwhile: label, as it is now, as it was typed here."""
        now, typed = conflict.extra["current"], self.described
        return [(name.capitalize(), now[name], yours) for name, yours in typed.items() if now[name] != yours]


class NewCompanyForm(CompanyForm):
    """A company that is to be made. Its slug is in every address, and can never be changed."""

    slug = forms.CharField(
        max_length=80,
        validators=[SLUG],
        help_text="Names it in addresses, files and the API: lower-case letters, digits and dashes. It stays for ever.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ("name", "slug", "channel", "plan", "reason")


class DeactivateForm(ChangeForm):
    """Deactivating asks for the company's slug, typed."""

    slug = forms.CharField(required=False)


class PauseForm(ChangeForm):
    """Pausing an override, or letting it speak again."""

    paused = OnOffField()


class NewMemberForm(ChangeForm):
    """Somebody who shall belong to a company."""

    email = forms.EmailField(label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER)


class RoleForm(ChangeForm):
    """What a person may see of their company."""

    role = forms.ChoiceField(choices=Role.choices)


class GrantForm(ChangeForm):
    """One person's permission, or denial: of which feature, until when, and why."""

    flag = FlagField(label="Feature")
    enabled = OnOffField(label="Answer")
    reason = forms.CharField(required=False, max_length=500)
    expires_at = forms.DateTimeField(
        required=False,
        label="Until",
        input_formats=[MINUTE, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE),
    )

    @property
    def enabled_value(self) -> str:
        """The answer that is chosen so far, as the page sends it."""
        return self.fields["enabled"].prepare_value(self["enabled"].value())


class PickPersonForm(GrantForm):
    """A grant that begins with the feature: whom it is for is typed."""

    email = forms.CharField(max_length=254, label="Person")


class NewTokenForm(ChangeForm):
    """A key for a program: what it is called, what it may do, for whom and until when."""

    name = forms.CharField(
        max_length=80,
        help_text="Which program holds it, so that you know what stops when you revoke it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    kind = forms.ChoiceField(choices=ApiToken.Kind.choices, initial=ApiToken.Kind.SERVER, widget=forms.RadioSelect)
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope} — {SCOPE_WORDS[scope]}") for scope in SCOPES],
        initial=["evaluate"],
        required=False,
        label="May",
        widget=forms.CheckboxSelectMultiple,
    )
    company = forms.CharField(
        required=False,
        max_length=120,
        help_text="Its slug or name. A client key needs one; a server key without one serves every company.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires_at = forms.DateTimeField(
        required=False,
        label="Until",
        input_formats=[MINUTE, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE),
        help_text="In your time zone. Without an end it works until somebody revokes it.",
    )

    def take_company(self, company: Company | None) -> None:
        """Complain where a company was named that is none."""
        if company is None and self.cleaned_data["company"]:
            self.add_error("company", "No company has this slug or name.")
