"""Making and editing a flag: every field, errors beside it, nothing typed lost, no answer moved unseen."""

import re

import pytest

from flags import changes
from flags.models import Change, Flag
from tests.factories import FlagFactory
from tests.flags.console.browsing import text_of

pytestmark = pytest.mark.django_db
NEW = "/super-admin/feature-flags/new/"
EDIT = "/super-admin/feature-flags/driver_management/edit/"

WHOLE = {
    "name": "Night Shift",
    "description": "Drives by night.\nAnd by day.",
    "category": "operations",
    "owner": "Dispatch",
    "metadata": '{"ticket": "OPS-12"}',
    "minimum_plan": "pro",
    "requires": "api_access, driver_chat",
    "is_internal": "on",
    "is_killswitch": "on",
    "needs_grant": "on",
    "is_self_service": "on",
    "reason": "asked for",
}


def flag(key: str = "driver_management") -> Flag:
    return Flag.objects.get(key=key)


def said(**changed) -> dict:
    """Return the edit form as it stands for driver_management, with these fields changed."""
    known = flag()
    fields = {
        "name": known.name,
        "description": known.description,
        "category": known.category,
        "version": known.version,
    }
    return fields | changed


def test_a_flag_is_made_with_all_its_fields(alices):
    response = alices.post(NEW, WHOLE | {"key": "night_shift", "enabled": "on"})
    assert (response.status_code, response["Location"]) == (302, "/super-admin/feature-flags/night_shift/")
    made = flag("night_shift")
    assert (made.name, made.category, made.owner) == ("Night Shift", "operations", "Dispatch")
    assert made.description.splitlines() == ["Drives by night.", "And by day."]
    assert made.metadata == {"ticket": "OPS-12"}
    assert made.minimum_plan_id == "pro"
    assert sorted(made.requires.values_list("key", flat=True)) == ["api_access", "driver_chat"]
    flags = (made.default_enabled, made.is_internal, made.is_killswitch, made.needs_grant, made.is_self_service)
    assert all(flags)
    assert Change.objects.values_list("verb", "reason").get() == ("create_flag", "asked for")


def test_a_flag_starts_off_and_is_named_after_its_key(alices):
    alices.post(NEW, {"key": "night_shift", "category": "general"})
    made = flag("night_shift")
    assert (made.name, made.default_enabled, made.metadata) == ("Night shift", False, {})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("key", "Night-Shift", "lower-case letters, digits and underscores"),
        ("key", "api_access", "This key is taken."),
        ("key", "", "This field is required."),
        ("name", "x" * 121, "at most 120 characters"),
        ("category", "", "This field is required."),
        ("metadata", "{ticket}", "This is not JSON (line 1, column 2)"),
        ("metadata", "[1]", "Give a JSON object"),
        ("requires", "api_access parrot, Cockatoo", "There is no flag “parrot” or “cockatoo”."),
        ("minimum_plan", "gold", "Select a valid choice"),
        ("name", "a\x07b", "control characters"),
    ],
)
def test_an_error_stands_beside_its_field_and_nothing_is_lost(alices, field, value, words):
    response = alices.post(NEW, WHOLE | {"key": "night_shift", field: value})
    page = response.content.decode()
    assert response.status_code in (409, 422)
    errors = page[page.index(f'id="id_{field}"') : page.index(f'id="id_{field}_error"') + 400]
    assert words in text_of(type(response)(errors))
    assert "Drives by night." in page
    assert not Flag.objects.filter(key="night_shift").exists()


def test_a_retired_key_is_refused_in_its_own_words(alices, alice):
    changes.create_flag("night_shift", actor=alice)
    changes.delete_flag("night_shift", actor=alice)
    response = alices.post(NEW, WHOLE | {"key": "night_shift"})
    assert response.status_code == 409
    assert "a key is never used twice" in text_of(response)


@pytest.mark.parametrize("key", ["new", "check"])
def test_keys_that_are_addresses_of_the_site_are_refused(alices, key):
    response = alices.post(NEW, WHOLE | {"key": key})
    assert response.status_code == 422
    assert not Flag.objects.filter(key=key).exists()


def test_the_edit_form_shows_what_is_and_saving_it_untouched_changes_nothing(alices, alice):
    fields = {name: value for name, value in WHOLE.items() if name not in ("metadata", "requires", "reason")}
    truths = {name: value == "on" if name.startswith(("is_", "needs_")) else value for name, value in fields.items()}
    changes.edit_flag(
        "driver_management",
        actor=alice,
        metadata={"a": 1},
        requires=["driver_chat", "api_access"],
        **truths | {"is_killswitch": False},
    )
    page = alices.get(EDIT).content.decode()
    sent = {name: re.search(rf'name="{name}"[^>]*value="([^"]*)"', page)[1] for name in ("name", "category", "owner")}
    sent |= {
        name: "on"
        for name in ("is_internal", "needs_grant", "is_self_service", "is_killswitch")
        if re.search(rf'name="{name}"[^>]* checked', page)
    }
    sent |= {"description": re.search(r'name="description"[^>]*>\s*([^<]*)</', page)[1], "metadata": '{"a": 1}'}
    sent |= {"minimum_plan": re.search(r'<option value="(\w+)" selected>Pro', page)[1]}
    sent |= {"requires": re.search(r'name="requires" value="([^"]*)"', page)[1]}
    assert sent["requires"] == "api_access driver_chat"
    before = flag().version
    assert alices.post(EDIT, sent | {"version": before}).status_code == 302
    assert flag().version == before


def test_words_are_saved_at_once(alices, acme):
    response = alices.post(EDIT, said(name="Drivers", owner="Fleet", reason="clearer"))
    assert (response.status_code, response["Location"]) == (302, "/super-admin/feature-flags/driver_management/")
    assert (flag().name, flag().owner) == ("Drivers", "Fleet")
    assert Change.objects.values_list("verb", "via", "reason").get() == ("edit_flag", "console", "clearer")


MOVING = {
    "minimum_plan": {"minimum_plan": "enterprise"},
    "requires": {"requires": "api_access"},
}


@pytest.mark.parametrize("moving", MOVING.values(), ids=MOVING)
def test_what_moves_an_answer_is_shown_before_it_is_saved(alices, acme, default_tenant, moving):
    response = alices.post(EDIT, said(name="Drivers", **moving))
    page = response.content.decode()
    assert response.status_code == 200
    assert "Saving this changes who has it" in page
    assert "Save and turn off for" in page
    assert 'value="Drivers"' in page
    assert flag().name == "Driver Management"
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page)[1].replace("&quot;", '"')
    assert alices.post(EDIT, said(name="Drivers", confirmed=confirmed, **moving)).status_code == 302
    assert flag().name == "Drivers"


def test_confirming_counts_only_for_what_was_shown(alices, acme, globex):
    shown = alices.post(EDIT, said(minimum_plan="pro")).content.decode()
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', shown)[1].replace("&quot;", '"')
    again = alices.post(EDIT, said(minimum_plan="enterprise", confirmed=confirmed))
    assert "Saving this changes who has it" in again.content.decode()
    assert flag().minimum_plan is None


def test_a_stale_form_shows_both_values_and_can_be_saved_again(alices, alice):
    stale = said(name="Mine", owner="Me")
    changes.edit_flag("driver_management", actor=alice, name="Theirs")
    response = alices.post(EDIT, stale)
    page = response.content.decode()
    assert response.status_code == 409
    assert "Saved meanwhile by somebody else" in page
    assert "<del>Theirs</del>" in page
    assert "<ins>Mine</ins>" in page
    assert flag().name == "Theirs"
    assert f'name="version" value="{flag().version}"' in page
    assert alices.post(EDIT, stale | {"version": flag().version}).status_code == 302
    assert (flag().name, flag().owner) == ("Mine", "Me")


def test_a_circle_of_requirements_is_refused_beside_the_field(alices, alice):
    changes.edit_flag("api_access", actor=alice, requires=["driver_management"])
    response = alices.post(EDIT, said(requires="api_access"))
    assert response.status_code == 422
    assert "A circle: driver_management → api_access → driver_management." in text_of(response)


def test_a_flag_that_requires_itself_is_refused_beside_the_field(alices):
    response = alices.post(EDIT, said(requires="driver_management"))
    assert response.status_code == 422
    assert 'id="id_requires_error"' in response.content.decode()


def test_keys_that_were_typed_wrong_stay_to_be_put_right(alices):
    page = alices.post(EDIT, said(requires="api_access, parrot")).content.decode()
    assert 'name="requires" value="api_access, parrot"' in page


def test_the_form_names_no_flag_that_was_not_typed(alices):
    FlagFactory(key="white_raven", name="White Raven")
    for path in (NEW, EDIT):
        assert "white_raven" not in alices.get(path).content.decode()


def test_a_required_reason_is_asked_for_beside_its_field(alices, settings):
    settings.FLAGS_REQUIRE_REASON = True
    response = alices.post(EDIT, said(name="Drivers"))
    assert response.status_code == 422
    assert 'id="id_reason_error"' in response.content.decode()
    assert flag().name == "Driver Management"


@pytest.mark.parametrize("path", [NEW, EDIT])
def test_others_may_not(sign_in, bob, client, path):
    for method in ("get", "post"):
        assert getattr(sign_in(bob), method)(path).status_code == 403
        assert getattr(client, method)(path).status_code == 302


def test_an_unknown_flag_is_not_found(alices):
    assert alices.get("/super-admin/feature-flags/parrot/edit/").status_code == 404
