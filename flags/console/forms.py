"""What people type into the console. Forms parse and complain; they change nothing."""

import json
import re
from typing import Any

from django import forms

from flags import overview
from flags.evaluation import ChannelAnswer
from flags.exceptions import ChangeRefused, Conflict, Invalid
from flags.history import VIA
from flags.models import KEY, Flag
from flags.sentences import PHRASES
from tenants.models import Plan

MINUTE = "%Y-%m-%dT%H:%M"


class FilterForm(forms.Form):
    """What a list shows. What is not understood is left out, never an error: it came from an address."""

    def filters(self) -> dict[str, Any]:
        """Return what was understood, by name."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def problems(self) -> list[str]:
        """What was not understood, and therefore filters nothing, in sentences."""
        return [
            f"“{self.data.get(name, '')[:40]}” is nothing to filter by as {self[name].label.lower()}."
            for name in self.errors
        ]


class CursorForm(FilterForm):
    """Where a page of a list begins or ends."""

    after = forms.CharField(required=False, max_length=400)
    before = forms.CharField(required=False, max_length=400)


class PickForm(CursorForm):
    """Which companies of a list: text in the name, and where a page begins or ends."""

    q = forms.CharField(required=False, max_length=120)


class GrantsForm(FilterForm):
    """Which grants of a flag: text in a person's or company's name, and where a page begins or ends."""

    person = forms.CharField(required=False, max_length=120)
    onwards = forms.CharField(required=False, max_length=400)
    backwards = forms.CharField(required=False, max_length=400)

    @property
    def wanted(self) -> dict[str, str]:
        """Return the same as pages take it."""
        names = {"person": "q", "onwards": "after", "backwards": "before"}
        return {names[name]: value for name, value in self.filters().items()}


class ChangeFilterForm(FilterForm):
    """Which lines of history are shown."""

    q = forms.CharField(label="Text", required=False, max_length=100)
    flag = forms.CharField(required=False, max_length=63)
    company = forms.CharField(required=False, max_length=80)
    actor = forms.CharField(required=False, max_length=254)
    verb = forms.ChoiceField(
        required=False, choices=[("", "Any change"), *((verb, verb.replace("_", " ")) for verb in PHRASES)]
    )
    via = forms.ChoiceField(required=False, choices=[("", "Any door"), *((door, door) for door in VIA)])
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    batch = forms.UUIDField(required=False)
    person = forms.UUIDField(required=False)


class ChangeForm(forms.Form):
    """What every change carries: why, and which version of the thing one saw; `seen` where it has no version.

    `typed` is the name of what cannot be brought back, by hand. `ask` asks for the impact first; a switch sends it, and
    a drawer leaves it out. `place` says which part of the site is shown afterwards, `next` where to go without scripts.
    """

    reason = forms.CharField(required=False)
    version = forms.IntegerField(required=False, min_value=0)
    seen = forms.CharField(required=False)
    typed = forms.CharField(required=False)
    ask = forms.BooleanField(required=False)
    place = forms.ChoiceField(required=False, choices=[("row", "row"), ("page", "page"), ("board", "board")])
    next = forms.CharField(required=False)

    @property
    def asks(self) -> bool:
        """Whether to show the impact before anything is done."""
        return self.cleaned_data["ask"]

    def take(self, refusal: ChangeRefused | None) -> None:
        """Show a refusal where it belongs: beside the fields it names, and in its own words above them."""
        if refusal is None:
            return
        self.add_error(None, refusal.detail)
        for field, errors in refusal.errors.items():
            if field in self.fields:
                self.add_error(field, errors)


def check_typed(form: ChangeForm, word: str, deed: str) -> None:
    """Refuse what cannot be taken back until its name has been typed. Raises Invalid."""
    if form.cleaned_data["typed"].strip() != word:
        raise Invalid(f"{deed} needs {word} typed, as it is.", errors={"typed": [f"Type {word} to confirm."]})


class OnOffField(forms.TypedChoiceField):
    """True or False; one of them must be said."""

    def __init__(self, **options: Any) -> None:
        choices = [("true", "On"), ("false", "Off")]
        super().__init__(choices=choices, coerce=lambda value: value == "true", **options)

    def prepare_value(self, value: Any) -> Any:
        return {True: "true", False: "false"}.get(value, value)


class FlagField(forms.CharField):
    """A live flag, typed: its key, or a name that only one has. None where nothing is, if nothing may be."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=120, **options)

    def clean(self, value: Any) -> Flag | None:
        text = super().clean(value)
        flag = overview.find_flag(text) if text else None
        if text and flag is None:
            raise forms.ValidationError(f"There is no flag “{text}”. Type its key or its name.")
        return flag

    def prepare_value(self, value: Any) -> Any:
        return value.key if isinstance(value, Flag) else value


class FlagsField(forms.CharField):
    """Live flags, typed: their keys, separated by spaces or commas. A list of flags, in the order typed."""

    SEPARATORS = r"[\s,]+"
    LONGEST = 4000

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=self.LONGEST, **options)

    def clean(self, value: Any) -> list[Flag]:
        keys = list(dict.fromkeys(filter(None, re.split(self.SEPARATORS, super().clean(value).lower()))))
        found = Flag.objects.live().in_bulk(keys)
        if unknown := [f"“{key}”" for key in keys if key not in found]:
            raise forms.ValidationError(f"There is no flag {' or '.join(unknown)}. Type keys, such as api_access.")
        return [found[key] for key in keys]

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value


class SwitchForm(ChangeForm):
    """On or off."""

    enabled = OnOffField()


class ChannelForm(ChangeForm):
    """What a release channel answers: on for a share of its companies, off, or nothing of its own."""

    answer = forms.ChoiceField(choices=[("on", "On"), ("off", "Off"), ("default", "Follows the default")])
    percentage = forms.IntegerField(required=False, min_value=0, max_value=100)

    def clean_percentage(self) -> int:
        given = self.cleaned_data["percentage"]
        return 100 if given is None else given

    @property
    def channel_answer(self) -> ChannelAnswer | None:
        """The answer, or None for none of its own."""
        said = self.cleaned_data["answer"]
        return None if said == "default" else ChannelAnswer(said == "on", self.cleaned_data["percentage"])


class DeleteForm(ChangeForm):
    """Deleting asks for the flag's key, typed."""

    key = forms.CharField(required=False)


class OverrideForm(ChangeForm):
    """A company's own answer, until when, and why."""

    enabled = OnOffField(label="Answer", widget=forms.RadioSelect)
    reason = forms.CharField(
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "Why does this company differ?"}),
    )
    expires_at = forms.DateTimeField(
        required=False,
        label="Until",
        input_formats=[MINUTE, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE),
        help_text="In your time zone. From then on the company inherits again, by itself.",
    )
    paused = forms.BooleanField(
        required=False, label="Paused", help_text="Keep it for later; the company inherits meanwhile."
    )


class JSONObjectField(forms.CharField):
    """A JSON object as text. Says in which line and column it stops being JSON."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono"})

    def to_python(self, value: Any) -> Any:
        text = (super().to_python(value) or "").strip()
        if not text:
            return {}
        try:
            found = json.loads(text)
        except ValueError as error:
            where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise forms.ValidationError(f"This is not JSON{where}: {error}") from error
        if not isinstance(found, dict):
            raise forms.ValidationError('Give a JSON object, such as {"ticket": "OPS-12"}.')
        return found

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) if value else ""
        return value


class FlagForm(ChangeForm):
    """What a flag is. The key can be said only once, when it is made; see `NewFlagForm`."""

    name = forms.CharField(max_length=120)
    description = forms.CharField(required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 3}))
    category = forms.CharField(max_length=40, initial="general")
    owner = forms.CharField(required=False, max_length=120, help_text="Who answers for it: a person or a team.")
    is_internal = forms.BooleanField(
        required=False, label="Internal", help_text="Only super admins see that it exists. It evaluates like any other."
    )
    is_killswitch = forms.BooleanField(
        required=False,
        label="Kill switch",
        help_text="While its default is off, it is off for everybody, whatever else.",
    )
    needs_grant = forms.BooleanField(
        required=False, label="Needs a grant", help_text="A person of a company that has it needs a grant besides."
    )
    is_self_service = forms.BooleanField(
        required=False, label="Self-service", help_text="A company's own admins may switch it for themselves."
    )
    minimum_plan = forms.ModelChoiceField(
        Plan.objects.none(), required=False, empty_label="Any plan", help_text="Companies on a lower plan go without."
    )
    requires = FlagsField(
        required=False,
        help_text="Keys of flags that must be on for the same company, separated by spaces.",
    )
    metadata = JSONObjectField(required=False, help_text="A JSON object for whatever your own tools need to know.")
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput)

    FIELDS = (
        "name",
        "description",
        "category",
        "owner",
        "is_internal",
        "is_killswitch",
        "needs_grant",
        "is_self_service",
        "minimum_plan",
        "requires",
        "metadata",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["minimum_plan"].queryset = Plan.objects.all()  # type: ignore[attr-defined]
        self.fields["category"].widget.attrs["list"] = "categories"

    @property
    def described(self) -> dict[str, Any]:
        """The flag's fields as `changes` takes them."""
        fields = {name: self.cleaned_data[name] for name in self.FIELDS}
        plan = fields["minimum_plan"]
        return fields | {
            "minimum_plan": None if plan is None else plan.slug,
            "requires": [flag.key for flag in fields["requires"]],
        }

    @property
    def rules(self) -> dict[str, Any]:
        """Those of them that answers rest on, as a proposal takes them."""
        plan = self.cleaned_data["minimum_plan"]
        return {
            "is_killswitch": self.cleaned_data["is_killswitch"],
            "is_self_service": self.cleaned_data["is_self_service"],
            "minimum_plan": None if plan is None else plan.rank,
            "requires": tuple(sorted(flag.key for flag in self.cleaned_data["requires"])),
        }

    @property
    def fingerprint(self) -> str:
        """What the impact was shown for. Confirming counts for that, and not for what was typed afterwards."""
        return json.dumps(self.rules, sort_keys=True)

    @property
    def is_confirmed(self) -> bool:
        return self.cleaned_data["confirmed"] == self.fingerprint

    def differences(self, conflict: Conflict) -> list[tuple[str, Any, Any]]:
        """Return the fields that somebody else changed meanwhile: label, as it is now, as it was typed here."""
        now, typed = conflict.extra["current"], self.described
        fields = [(str(self.fields[name].label or name.replace("_", " ").capitalize()), name) for name in self.FIELDS]
        return [(label, now[name], typed[name]) for label, name in fields if now[name] != typed[name]]


class NewFlagForm(FlagForm):
    """A flag that is to be made. Its name defaults to the key in words."""

    key = forms.CharField(
        max_length=63,
        validators=[KEY],
        help_text="What code asks for: lower_snake. It can never be changed, nor used again once deleted.",
    )
    name = forms.CharField(max_length=120, required=False)
    enabled = forms.BooleanField(
        required=False, label="On by default", help_text="Better off: turn it on once somebody has seen it work."
    )
    field_order = ("key",)
