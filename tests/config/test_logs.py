import json
import logging
import sys

import pytest

from config.logs import JsonFormatter
from tenants import provenance


def line(message, *args, exc_info=None, **extra):
    """Format one record as a handler would, and read it back as a machine would."""
    record = logging.getLogger("flags.changes").makeRecord(
        "flags.changes", logging.WARNING, __file__, 1, message, args, exc_info, extra=extra
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_says_when_how_bad_where_and_what():
    said = line("flag=%s company=%s", "billing_enabled", "acme")
    assert said.pop("time").endswith("+00:00")
    assert said == {"level": "WARNING", "logger": "flags.changes", "message": "flag=billing_enabled company=acme"}


def test_a_line_within_a_request_names_it():
    token = provenance.request_id.set("edge-12345678")
    try:
        assert line("x")["request_id"] == "edge-12345678"
    finally:
        provenance.request_id.reset(token)


def test_a_refusal_that_django_logs_after_the_request_still_names_it(client, caplog):
    client.get("/healthz")  # Nothing to log here.
    response = client.get("/no-such-page", headers={"X-Request-ID": "edge-12345678"})
    assert response.status_code == 404
    (record,) = (record for record in caplog.records if record.name == "django.request")
    assert provenance.request_id.get() == ""
    assert json.loads(JsonFormatter().format(record))["request_id"] == "edge-12345678"


def test_extras_keep_their_kind():
    said = line("x", rows=3, ratio=0.5, ok=True, nothing=None, keys=["a", "b"], company={"slug": "acme"})
    assert (said["rows"], said["ratio"], said["ok"], said["nothing"]) == (3, 0.5, True, None)
    assert said["keys"] == ["a", "b"]
    assert said["company"] == {"slug": "acme"}


def test_an_extra_cannot_pose_as_a_standard_field():
    assert line("true", level="forged", logger="forged")["level"] == "WARNING"


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("headers={'Authorization': 'Bearer abcdef0123456789'}", "abcdef0123456789"),
        ("sent bearer abcdef0123456789", "abcdef0123456789"),
        ("password=hunter2", "hunter2"),
        ("refused hg_s_k3J9s0aB12cD_s3cr3t-s3cr3t_s3cr3t", "s3cr3t"),
        ('{"password": "hunter 2"}', "hunter 2"),
        ("/api/x?token=s3cr3tvalue&page=2", "s3cr3tvalue"),
        ("api_key: 'k-1234'", "k-1234"),
        ("postgres://ana:pa55word@db/headgate", "pa55word"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
    ],
)
def test_secrets_in_messages_are_redacted(message, secret):
    said = line(message)["message"]
    assert secret not in said
    assert "[redacted]" in said


def test_a_redacted_api_token_can_still_be_found():
    assert line("refused hg_s_k3J9s0aB12cD_s3cr3t")["message"] == "refused hg_s_k3J9s0aB12cD_[redacted]"


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "access_token", "secret", "api_key", "sessionid_cookie", "credentials"]
)
def test_secrets_in_extras_are_redacted(name):
    assert line("x", **{name: "s3cr3t"})[name] == "[redacted]"
    assert line("x", headers={name: "s3cr3t"})["headers"] == {name: "[redacted]"}


@pytest.mark.parametrize(
    "message",
    ["flag=api_access company=acme reason=grant_missing", "GET /super-admin/tokens/ 200", "access: super_admin"],
)
def test_ordinary_words_are_left_alone(message):
    assert line(message)["message"] == message


def test_line_breaks_and_terminal_codes_cannot_forge_a_line():
    record = logging.makeLogRecord({"msg": 'x\r\n{"level": "INFO"}\x1b[2K\u202e\u2028'})
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert text.isprintable()


def test_long_messages_are_cut_and_say_so():
    said = line("x" * 100_000)["message"]
    assert len(said) < 5_000
    assert said.endswith("more characters]")


def test_long_extras_are_cut_as_well():
    assert len(line("x", reason="y" * 100_000)["reason"]) < 5_000


def test_a_traceback_is_part_of_the_same_line_without_its_secrets():
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        said = line("failed", exc_info=sys.exc_info())
    assert "ValueError" in said["exception"]
    assert "hunter2" not in said["exception"]


def test_what_json_cannot_say_is_said_as_text():
    assert line("x", where=object)["where"] == str(object)
