"""Overrides by API: one, a flag's, a batch, and the file that goes out and comes in."""

import csv
import io
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from flags import changes, overridefiles
from flags.models import Change, Flag, Override
from tests.factories import CompanyFactory, FlagFactory, OverrideFactory

pytestmark = pytest.mark.django_db
FILE = "/api/admin/overrides.csv"
HEADER = "company,flag,enabled,reason,expires_at"


@pytest.fixture
def put(admin):
    return lambda path, body, **kwargs: admin.put(
        f"/api/admin/tenants/{path}", body, content_type="application/json", **kwargs
    )


def content(response) -> str:
    return b"".join(response.streaming_content).decode()


class TestOne:
    def test_it_is_set_with_reason_and_expiry(self, put, acme, alice):
        body = {"enabled": True, "reason": "contract 881", "expires_at": "2999-03-03T00:00:00+01:00"}

        response = put("acme/overrides/api_access", body)

        assert response.status_code == 201
        assert response["ETag"] == '"1"'
        answer = response.json()
        assert answer | body | {"expires_at": "2999-03-02T23:00:00Z"} == answer
        assert (answer["company"], answer["key"], answer["created_by"]) == ("acme", "api_access", alice.email)
        assert Change.objects.get().after["reason"] == "contract 881"

    def test_it_replaces_the_one_there_is(self, put, acme):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"), enabled=False)

        response = put(f"{acme.pk}/overrides/api_access", {"enabled": True})

        assert (response.status_code, response.json()["version"]) == (200, 2)
        assert Override.objects.get().enabled is True

    def test_it_is_read_under_its_tag(self, admin, put, acme):
        made = put("acme/overrides/api_access", {"enabled": True})

        found = admin.get("/api/admin/tenants/acme/overrides/api_access")

        assert found["ETag"] == made["ETag"]
        assert found.json() == made.json()

    def test_one_there_is_not_is_404(self, admin, acme):
        response = admin.get("/api/admin/tenants/acme/overrides/api_access")

        assert (response.status_code, response.json()["code"]) == (404, "OVERRIDE_NOT_FOUND")

    def test_it_is_removed_and_the_company_inherits_again(self, admin, acme):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))

        assert admin.delete("/api/admin/tenants/acme/overrides/api_access?reason=ended").status_code == 204
        assert admin.get("/api/features/api_access?company=acme").json()["reason"] == "default"
        assert Change.objects.get().reason == "ended"

    def test_removing_none_is_silent(self, admin, acme):
        assert admin.delete("/api/admin/tenants/acme/overrides/api_access").status_code == 204
        assert not Change.objects.exists()

    @pytest.mark.parametrize(
        "moment", ["2020-01-01T00:00:00Z", "2999-01-01", "2999-01-01T00:00:00", "soon", 5, "0001-01-01T00:00:00+23:59"]
    )
    def test_a_moment_must_lie_ahead_and_name_its_time_zone(self, moment, put, acme):
        response = put("acme/overrides/api_access", {"enabled": True, "expires_at": moment})

        assert (response.status_code, list(response.json()["errors"])) == (400, ["expires_at"])
        assert not Override.objects.exists()

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ({"if-match": '"1"'}, {}, 200),
            ({"if-match": '"4"'}, {}, 412),
            ({"if-match": "*"}, {}, 200),
            ({}, {"version": 1}, 200),
            ({}, {"version": 0}, 409),
            ({"if-match": '"1"'}, {"version": 4}, 409),
        ],
    )
    def test_a_lost_race_is_refused_with_both_values(self, headers, body, status, put, acme):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"), reason="first")

        response = put("acme/overrides/api_access", {"enabled": False, "reason": "second", **body}, headers=headers)

        assert response.status_code == status
        if status != 200:
            problem = response.json()
            assert (problem["current"]["reason"], problem["yours"]["reason"]) == ("first", "second")
            assert problem["version"] == 1

    def test_a_first_one_can_be_asked_for(self, put, acme):
        assert put("acme/overrides/api_access", {"enabled": True, "version": 0}).status_code == 201
        assert put("acme/overrides/api_access", {"enabled": False, "version": 0}).status_code == 409
        assert put("acme/overrides/white_label", {"enabled": True}, headers={"if-match": "*"}).status_code == 412

    def test_a_deletion_is_guarded_too(self, admin, acme):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))
        url = "/api/admin/tenants/acme/overrides/api_access"

        assert admin.delete(url, headers={"if-match": '"9"'}).status_code == 412
        assert admin.delete(f"{url}?version=9").status_code == 409
        assert admin.delete(url, headers={"if-match": '"1"'}).status_code == 204

    def test_of_a_foreign_company_a_bound_key_learns_nothing(self, as_token, acme, globex):
        OverrideFactory(company=globex, flag=Flag.objects.get(key="api_access"))
        key = as_token("tenants:write", "flags:read", company=acme)
        answers = {
            (name, method): getattr(key, method)(
                f"/api/admin/tenants/{name}/overrides/api_access",
                *([{"enabled": True}] if method == "put" else []),
                content_type="application/json",
                headers={"x-request-id": "same-id-1"},
            )
            for name in ("globex", "nowher", str(globex.pk))
            for method in ("get", "put", "delete")
        }

        assert {answer.status_code for answer in answers.values()} == {404}
        for method in ("get", "put", "delete"):
            there, nowhere = answers["globex", method].content, answers["nowher", method].content
            assert there.replace(b"globex", b"nowher") == nowhere
        assert Override.objects.count() == 1

    def test_a_bound_key_writes_in_its_own_company_but_not_on_hidden_flags(self, as_token, acme):
        FlagFactory(key="hidden_tool", is_internal=True)
        key = as_token("tenants:write", company=acme)
        put = lambda flag: key.put(  # noqa: E731
            f"/api/admin/tenants/acme/overrides/{flag}", {"enabled": True}, content_type="application/json"
        )

        assert put("api_access").status_code == 201
        assert put("hidden_tool").json()["code"] == "FLAG_NOT_FOUND"
        assert key.get("/api/admin/tenants/acme/overrides/api_access").json()["enabled"] is True


class TestAFlags:
    def test_they_are_listed_and_filtered(self, admin, acme, globex):
        flag = FlagFactory(key="fleet_chat")
        OverrideFactory(company=acme, flag=flag)
        OverrideFactory(company=globex, flag=flag, enabled=False)
        url = "/api/admin/feature-flags/fleet_chat/overrides"

        assert {row["company"] for row in admin.get(url).json()["results"]} == {"acme", "globex"}
        assert [row["company"] for row in admin.get(f"{url}?enabled=false").json()["results"]] == ["globex"]

    def test_pages_go_on_without_gaps_there_and_back(self, admin, django_assert_num_queries):
        flag = FlagFactory(key="fleet_chat")
        for number in range(11):
            OverrideFactory(flag=flag, enabled=number % 3 > 0)
        url, seen, back = "/api/admin/feature-flags/fleet_chat/overrides?page_size=4", [], []
        while url:
            with django_assert_num_queries(3):
                page = admin.get(url).json()
            seen.append([row["company"] for row in page["results"]])
            last, url = page, page["next"]
        url = last["previous"]
        while url:
            page = admin.get(url).json()
            back.insert(0, [row["company"] for row in page["results"]])
            url = page["previous"]

        assert sorted(itertools.chain.from_iterable(seen)) == sorted(
            Override.objects.values_list("company__slug", flat=True)
        )
        assert back == seen[:-1]

    @pytest.mark.parametrize("cursor", ["x", "bm90aGluZw", "WzAsMSwyXQ", "W10", "WzAsIlRydWUiLCJub3BlIl0", "9" * 500])
    def test_a_cursor_that_is_none_is_refused(self, cursor, admin):
        response = admin.get(f"/api/admin/feature-flags/api_access/overrides?cursor={cursor}")

        assert (response.status_code, list(response.json()["errors"])) == (400, ["cursor"])


class TestMany:
    def test_they_are_one_batch_of_history(self, put, acme):
        rows = [
            {"key": "api_access", "enabled": True, "reason": "own"},
            {"key": "white_label", "enabled": False, "expires_at": "2999-01-01T00:00:00Z"},
        ]

        answer = put("acme/overrides", {"overrides": rows, "reason": "shared"}).json()

        assert (answer["changed"], answer["unchanged"]) == (2, 0)
        assert set(Change.objects.filter(batch=answer["batch"]).values_list("flag", "reason")) == {
            ("api_access", "own"),
            ("white_label", "shared"),
        }

    def test_a_bad_row_is_named_and_nothing_is_written(self, put, acme):
        rows = [{"key": "api_access", "enabled": True}, {"key": "nothing_here", "enabled": True}]

        response = put("acme/overrides", {"overrides": rows})

        assert (response.status_code, response.json()["index"]) == (404, 1)
        assert not Override.objects.exists()
        assert not Change.objects.exists()

    def test_a_key_named_twice_is_refused(self, put, acme):
        rows = [{"key": "api_access", "enabled": True}, {"key": "api_access", "enabled": False}]

        assert put("acme/overrides", {"overrides": rows}).json()["index"] == 1

    @pytest.mark.parametrize("rows", [[], [{"key": "api_access", "enabled": True}] * 1001, "rows", [1], None])
    def test_a_batch_has_one_to_a_thousand_rows(self, rows, put, acme):
        response = put("acme/overrides", {"overrides": rows})

        assert response.status_code == 400
        assert next(iter(response.json()["errors"])).startswith("overrides")

    def test_a_thousand_rows_are_taken(self, put, acme):
        Flag.objects.bulk_create([Flag(key=f"many_{n}", name=str(n)) for n in range(1000)])
        rows = [{"key": f"many_{n}", "enabled": True} for n in range(1000)]

        assert put("acme/overrides", {"overrides": rows}).json()["changed"] == 1000


class TestTheFile:
    def load(self, client, text, **kwargs):
        return client.generic("POST", FILE, text, content_type="text/csv", **kwargs)

    def test_what_goes_out_comes_in_as_no_change(self, admin, acme, globex):
        reasons = ["", "plain", "=1+1", "'=1", "''-x", "'quoted'", 'a "b", c', "@me", "+49", "-", "ä; 日本", "'"]
        flags = [FlagFactory(key=f"flag_{n}") for n in range(len(reasons))]
        soon = timezone.now() + timedelta(days=3, microseconds=123456)
        for n, (flag, reason) in enumerate(zip(flags, reasons, strict=True)):
            OverrideFactory(company=acme, flag=flag, reason=reason, enabled=n % 2 == 0, expires_at=soon)
        OverrideFactory(company=globex, flag=flags[0], reason="past", expires_at=timezone.now() - timedelta(days=1))
        OverrideFactory(company=globex, flag=flags[1], reason="rests", paused=True)
        before = list(Override.objects.order_by("pk").values())
        text = content(admin.get(FILE))

        answer = self.load(admin, text).json()

        assert (answer["changed"], answer["unchanged"]) == (0, len(reasons) + 2)
        assert list(Override.objects.order_by("pk").values()) == before
        assert not Change.objects.exists()

    def test_it_comes_in_elsewhere_as_it_went_out(self, admin, acme):
        reasons = ["=1+1", "'=1", "''-x", "'quoted'", "plain"]
        for n, reason in enumerate(reasons):
            OverrideFactory(company=acme, flag=FlagFactory(key=f"flag_{n}"), reason=reason)
        text = content(admin.get(FILE))
        Override.objects.all().delete()

        assert self.load(admin, text).json()["changed"] == len(reasons)
        assert list(Override.objects.order_by("flag").values_list("reason", flat=True)) == reasons
        assert content(admin.get(FILE)) == text

    def test_no_cell_is_run_by_a_spreadsheet(self, admin, acme):
        OverrideFactory(company=acme, flag=FlagFactory(), reason='=HYPERLINK("http://evil.example")')

        cells = [cell for row in csv.reader(io.StringIO(content(admin.get(FILE)))) for cell in row]

        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]

    def test_it_is_a_file_with_a_header(self, admin):
        response = admin.get(FILE)

        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert "overrides.csv" in response["Content-Disposition"]
        assert content(response) == f"{HEADER}\r\n"

    def test_it_is_streamed_in_few_queries(self, admin, django_assert_num_queries):
        flag = FlagFactory()
        for _ in range(30):
            OverrideFactory(flag=flag)
        with django_assert_num_queries(2):
            lines = content(admin.get(FILE)).splitlines()

        assert len(lines) == 31

    def test_a_line_that_names_its_version_overwrites_nobody(self, admin, acme, globex):
        for company, key in ((acme, "api_access"), (acme, "white_label"), (globex, "api_access")):
            OverrideFactory(company=company, flag=Flag.objects.get(key=key), enabled=False, reason="before")
        text = content(admin.get(f"{FILE}?versions=1")).replace("false", "true")
        assert text.startswith(f"{HEADER},version\r\n")
        changes.set_override(acme, "white_label", False, actor=None, reason="meanwhile")
        changes.remove_override(globex, "api_access", actor=None)
        before = list(Override.objects.order_by("pk").values())

        refused = self.load(admin, text)

        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID")
        told = {(line["column"], line["detail"].partition(":")[0]) for line in refused.json()["lines"]}
        assert told == {("version", "It is version 2 by now"), ("version", "It is there no more")}
        assert list(Override.objects.order_by("pk").values()) == before
        wished = [line for line in text.splitlines() if "globex" not in line and "white_label" not in line]
        again = "\n".join(wished)
        assert self.load(admin, again).json()["changed"] == 1
        assert self.load(admin, again).json() | {"batch": ""} == {"batch": "", "changed": 0, "unchanged": 1}

    def test_a_line_without_a_version_is_taken_at_its_word(self, admin, acme):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"), enabled=False, version=7)
        text = f"{HEADER},version\nacme,api_access,true,,,\nacme,white_label,true,,,0\n"
        assert self.load(admin, text).json()["changed"] == 2
        for version in ("-1", "one", "1.0", "9" * 30):
            text = f"{HEADER},version\nacme,api_access,false,,,{version}\n"
            assert [line["column"] for line in self.load(admin, text).json()["lines"]] == ["version"]

    def test_it_sets_and_changes_in_one_batch(self, admin, acme, globex):
        OverrideFactory(company=globex, flag=Flag.objects.get(key="api_access"), reason="old")
        OverrideFactory(company=globex, flag=Flag.objects.get(key="white_label"))
        text = f"{HEADER}\nacme,api_access,TRUE,contract,2999-01-01T00:00:00Z\nglobex,api_access,false,new,\n"

        answer = self.load(admin, text).json()

        assert (answer["changed"], answer["unchanged"]) == (2, 0)
        assert Override.objects.count() == 3
        override = Override.objects.get(company=acme)
        assert (override.enabled, override.reason) == (True, "contract")
        assert override.expires_at == datetime(2999, 1, 1, tzinfo=UTC)
        changes = Change.objects.filter(batch=answer["batch"], verb="set_override", via="api")
        assert {(change.company_slug, change.before.get("reason"), change.reason) for change in changes} == {
            ("acme", None, "contract"),
            ("globex", "old", "new"),
        }
        assert admin.get("/api/features/api_access?company=acme").json()["enabled"] is True

    def test_columns_may_come_in_any_order_and_some_may_lack(self, admin, acme):
        assert self.load(admin, "\ufeffflag,enabled,company\r\napi_access,true,acme\r\n").json()["changed"] == 1

    def test_every_bad_line_is_named_by_number_and_column(self, admin, acme):
        text = "\n".join(
            [
                HEADER,
                "acme,api_access,true,,",
                "nowhere,api_access,true,,",
                "acme,nothing_here,maybe,,",
                '"acme",white_label,true,"two\nlines",',
                "acme,driver_chat,true,,yesterday",
                "acme,trip_management,true,,2020-01-01T00:00:00Z",
                "acme,api_access,false,,",
                "acme,ai_enabled,true",
            ]
        )

        response = self.load(admin, text)

        assert (response.status_code, response.json()["code"]) == (400, "INVALID")
        assert {(problem["line"], problem["column"]) for problem in response.json()["lines"]} == {
            (3, "company"),
            (4, "flag"),
            (4, "enabled"),
            (5, "reason"),
            (7, "expires_at"),
            (8, "expires_at"),
            (9, ""),
            (10, ""),
        }
        assert not Override.objects.exists()

    def test_the_first_hundred_are_named(self, admin, acme):
        text = HEADER + "\n" + "nowhere,api_access,true,,\n" * 150

        problem = self.load(admin, text).json()

        assert len(problem["lines"]) == 100
        assert "298 more" in problem["detail"]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "company,flag\n",
            "company,flag,enabled,colour\n",
            "company,company,flag,enabled\n",
            HEADER + '\nacme,"api_access,true,,\n',
            HEADER + "\nacme,api\x00access,true,,\n",
            HEADER + "\nacme,api_access,true," + "x" * 600 + ",\n",
            HEADER + "\nacme,api_access,true," + "x" * 140_000 + ",\n",
        ],
    )
    def test_what_is_no_such_file_is_refused(self, text, admin, acme):
        response = self.load(admin, text)

        assert (response.status_code, response.json()["code"]) == (400, "INVALID")
        assert not Override.objects.exists()

    def test_it_must_be_utf_8(self, admin):
        assert self.load(admin, f"{HEADER}\n".encode("utf-16")).json()["code"] == "MALFORMED_BODY"

    def test_json_is_not_taken(self, admin):
        assert admin.post(FILE, {}, content_type="application/json").status_code == 415

    def test_a_big_file_takes_few_queries(self, admin, django_assert_max_num_queries):
        flag = FlagFactory(key="fleet_chat")
        companies = [CompanyFactory() for _ in range(200)]
        for company in companies[:100]:
            OverrideFactory(company=company, flag=flag)
        text = HEADER + "\n" + "".join(f"{company.slug},fleet_chat,false,moved,\n" for company in companies)

        with django_assert_max_num_queries(25):
            assert self.load(admin, text).json()["changed"] == 200

    def test_a_key_bound_to_a_company_gets_neither_way(self, as_token, acme):
        key = as_token("flags:read", "flags:write", company=acme)

        assert key.get(FILE).json()["code"] == "TOKEN_COMPANY_MISMATCH"
        assert self.load(key, HEADER).json()["code"] == "TOKEN_COMPANY_MISMATCH"

    def test_a_required_reason_is_required_here_too(self, admin, acme, settings):
        settings.FLAGS_REQUIRE_REASON = True

        assert self.load(admin, f"{HEADER}\nacme,api_access,true,,\n").json()["lines"][0]["column"] == "reason"


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "'=1", "''=1", "'x", "x", "", "\tx", "'", "''"])
def test_escaping_a_cell_can_always_be_undone(cell):
    assert overridefiles.unescape(overridefiles.escape(cell)) == cell
