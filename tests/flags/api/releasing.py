"""How tests steer a release by API."""

from django.test import Client
from django.utils import timezone

from flags.releasemodels import DailyUsage, IsolationAudit

FLAGS = "/api/admin/feature-flags"
KEY = "route_planning"


def post(client: Client, path: str, body: dict | None = None, key: str = KEY, **kwargs):
    """POST to what lies below a flag."""
    return client.post(f"{FLAGS}/{key}/{path}", body or {}, content_type="application/json", **kwargs)


def create_disabled(client: Client) -> None:
    """Make the flag, off for everybody, as the seed begins."""
    made = client.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
    assert (made.status_code, made.json()["release"]) == (201, None)


def release_of(client: Client, key: str = KEY) -> dict | None:
    """The release as the flag shows it, or None."""
    return client.get(f"{FLAGS}/{key}").json()["release"]


def somebody_uses_it(*, errors: int = 0) -> None:
    """What the count of usage writes down when companies use the flag."""
    now = timezone.now()
    DailyUsage.objects.update_or_create(
        flag_id=KEY,
        day=now.date(),
        defaults={
            "on": 40,
            "errors": errors,
            "last_at": now,
            "last_on_at": now,
            "last_error_at": now if errors else None,
        },
    )


def audit_runs(*, passed: bool = True) -> None:
    """What the tenant isolation audit leaves behind."""
    IsolationAudit.objects.create(at=timezone.now(), mode="both", by_name="Alice", passed=passed, complete=True)


def people_give_their_word(client: Client) -> None:
    """Every gate ahead that waits for a person's word gets it."""
    for gate in release_of(client)["gates"]:
        if gate["kind"] == "sign_off":
            signed = post(client, f"gates/{gate['id']}/sign-off", {"note": "looked", "link": "https://ci.example/1"})
            assert signed.status_code == 200


def evidence_comes_in(client: Client, *, errors: int = 0) -> None:
    """Everything that gates ask for, apart from time."""
    somebody_uses_it(errors=errors)
    audit_runs()
    people_give_their_word(client)
