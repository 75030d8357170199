"""Every page there is, once: where it is in the demonstration, who looks at it, and what can be opened on it.

What is checked of all pages, and what is photographed, goes through this list. An address that is in the URL
configuration and neither here nor in NO_PAGES fails `test_pages.py`.
"""

import re
from dataclasses import dataclass
from itertools import chain

from django.urls import reverse

from tests.browser.serving import DONE, WAITING

ANA = "ana.ruiz@headgate.example"
MIRA = "mira.talbi@talbi-logistics-llc.example"
SAMIR = "samir.haddad@talbi-logistics-llc.example"
LENA = "lena.brandt@default-tenant.example"
NOBODY = ""

TALBI = "talbi-logistics-llc"
COBALT = "cobalt-transit"
MEMBERS = ("console:company_members", TALBI)
UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    `url` is the name of a URL pattern with its arguments. Where one of them is not known beforehand, `link` names the
    page, again by name and arguments, on which the address is found, and the end that it has. `opens` are selectors
    clicked one after the other, by which a drawer or a dialog opens; `shows` is a selector of what is then there.
    """

    name: str
    url: tuple[str, ...]
    who: str = ANA
    query: str = ""
    status: int = 200
    link: tuple[tuple[str, ...], str] | None = None
    opens: tuple[str, ...] = ()
    shows: str = ".drawer h3"

    def address(self, read) -> str:
        """Return where it is. `read` gives the text of an address."""
        if self.link is None:
            return reverse(self.url[0], "tests.browser.urls", self.url[1:]) + self.query
        (where, *args), end = self.link
        found = re.search(rf'"(/[^"?]*{end})["?]', read(reverse(where, args=args)))
        if found is None:
            raise LookupError(f"{where} has no link that ends in {end}: where is {self.name}?")
        return found[1] + self.query

    def open_in(self, browser_page) -> int:
        """Show it, with everything open that it opens, and return its status."""
        answer = browser_page.goto(self.address(lambda address: browser_page.request.get(address).text()))
        browser_page.locator("body:not(:has(.later))").wait_for()  # What a page fetches after itself is there.
        for selector in self.opens:
            browser_page.locator(selector).first.click()
        if self.opens:
            browser_page.locator(self.shows).first.wait_for()
        return answer.status


def flag(name: str, url: str, key: str = "advanced_reports", *args: str, query: str = "") -> Page:
    return Page(name, (f"console:{url}", key, *args), query=query)


FLAGS = (
    Page("overview", ("console:overview",)),
    Page("palette", ("console:palette",)),
    Page("flags", ("console:flag_list",)),
    Page("flags-none", ("console:flag_list",), query="?q=nothing+is+called+this"),
    Page("flags-nonsense", ("console:flag_list",), query="?q=is:purple"),
    Page("flags-filtered", ("console:flag_list",), query="?q=is:killed"),
    Page("flag-new", ("console:flag_new",)),
    Page("bulk-flags", ("console:bulk_flags",), query="?q=billing"),
    Page(
        "bulk-flags-effects", ("console:bulk_flags",), query="?q=reports&what=channel&channel=general&deed=channel_on"
    ),
    Page("batch", ("console:batch", DONE)),
    Page("batch-waiting", ("console:batch", WAITING)),
    Page("batch-undo", ("console:batch_undo", DONE)),
    flag("flag", "flag_detail", "trip_management"),
    flag("flag-whole", "flag_detail", "trip_management", query="?show=all"),
    flag("flag-killed", "flag_detail", "legacy_export"),
    flag("flag-plain", "flag_detail", "white_label"),
    flag("flag-grants", "flag_detail", "route_optimizer"),
    flag("flag-history", "flag_history", "trip_management"),
    flag("flag-edit", "flag_edit"),
    flag("flag-default", "flag_default", query="?enabled=true"),
    flag("flag-inherit", "flag_inherit"),
    flag("flag-channel", "flag_channel", "advanced_reports", "pilot", query="?answer=on&percentage=100"),
    flag("flag-kill", "flag_kill"),
    flag("flag-revive", "flag_revive", "legacy_export"),
    flag("flag-archive", "flag_archive"),
    flag("flag-restore", "flag_restore"),
    flag("flag-delete", "flag_delete"),
    flag("flag-overrides", "flag_overrides", "api_access"),
    flag("override-add", "flag_override_add", query="?q=talbi-logistics-llc"),
    flag("override", "flag_override", "api_access", "cobalt-transit"),
    flag("override-reset", "flag_override_reset", "api_access", "cobalt-transit"),
    flag("grants-of-a-flag", "flag_grants", "route_optimizer"),
    flag("grant-add", "flag_grant_add", "route_optimizer", query="?q=talbi-logistics-llc"),
)
RELEASES = (
    Page("releases", ("console:release_board",)),
    Page("gates", ("console:gate_list",)),
    Page("gate-edit", ("console:gate_edit",), link=(("console:gate_list",), rf"/gates/{UUID}/")),
    Page("gate-remove", ("console:gate_remove",), link=(("console:gate_list",), rf"/gates/{UUID}/remove/")),
    Page("release-pick", ("console:release_pick",), query="?q=driver_chat"),
    flag("release-start", "release_start", "driver_chat"),
    flag("release-promote", "release_promote", "trip_management"),
    flag("release-roll-back", "release_roll_back", "trip_management"),
    flag("release-pause", "release_pause", "trip_management"),
    flag("release-resume", "release_resume", "trip_management"),
    flag("release-finish", "release_finish", "trip_management"),
    Page(
        "sign-off",
        ("console:gate_sign_off",),
        link=(("console:flag_detail", "trip_management"), rf"/release/gates/{UUID}/"),
    ),
    flag("companies-of-a-flag", "flag_companies", "trip_management"),
    flag("company-roll-back", "company_roll_back", "trip_management", query="?company=talbi-logistics-llc"),
)
ASKING = (
    Page("inspector", ("console:inspector",)),
    Page("inspector-answer", ("console:inspector",), query=f"?flag=api_access&company={TALBI}"),
    Page("inspector-control", ("console:inspector_control",)),
    Page("isolation", ("console:isolation",)),
    Page("history", ("console:change_list",)),
    Page("history-none", ("console:change_list",), query="?q=nothing+like+this"),
    Page(
        "history-revert",
        ("console:change_revert",),
        link=(("console:company_changes", TALBI), rf"/changes/{UUID}/revert/"),
    ),
    Page("tokens", ("console:token_list",)),
    Page("token-new", ("console:token_new",)),
    Page("token-revoke", ("console:token_revoke",), link=(("console:token_list",), rf"/tokens/{UUID}/revoke/")),
    Page("style", ("console:style",)),
)
COMPANIES = (
    Page("companies", ("console:company_list",)),
    Page("companies-none", ("console:company_list",), query="?q=nobody"),
    Page("company-new", ("console:company_new",)),
    Page("company", ("console:company_detail", TALBI)),
    Page("company-edit", ("console:company_edit", TALBI)),
    Page("company-activate", ("console:company_activate", TALBI)),
    Page("company-deactivate", ("console:company_deactivate", TALBI)),
    Page("company-changes", ("console:company_changes", TALBI)),
    Page("view-as", ("console:view_as", TALBI)),
    Page("bulk-companies", ("console:bulk_companies",), query="?flag=driver_chat"),
    Page("bulk-effect", ("console:bulk_companies",), query="?q=channel:general&flag=driver_chat&deed=turn_on"),
    Page("bulk-move", ("console:bulk_companies",), query="?q=plan:pro&what=move&channel=pilot"),
    Page("bulk-grant", ("console:bulk_companies",), query="?what=grant&flag=route_optimizer&deed=grant&role=member"),
    Page("bulk-nonsense", ("console:bulk_companies",), query="?q=channel:purple&flag=driver_chat", status=422),
    Page("history-of-a-batch", ("console:change_list",), query=f"?batch={DONE}"),
    Page("company-features", ("console:company_features", TALBI)),
    Page("company-override", ("console:company_override", TALBI, "api_access")),
    Page("company-override-reset", ("console:company_override_reset", COBALT, "api_access")),
    Page("company-override-pause", ("console:company_override_pause", COBALT, "api_access"), query="?paused=true"),
    Page("company-choice-remove", ("console:company_choice_remove", COBALT, "api_access")),
    Page("members", MEMBERS),
    Page("member-role", ("console:member_role",), link=(MEMBERS, rf"/members/{UUID}/role/")),
    Page("member-remove", ("console:member_remove",), link=(MEMBERS, rf"/members/{UUID}/remove/")),
    Page("member-grants", ("console:member_grants",), link=(MEMBERS, rf"/members/{UUID}/grants/")),
    Page("company-grant", ("console:company_grant", TALBI, "route_optimizer")),
    Page("person", ("console:person_detail",), link=(MEMBERS, rf"/people/{UUID}/")),
)
COMPANY = (
    Page("features", ("company:feature_list",), MIRA),
    Page("features-changes", ("company:change_list",), MIRA),
    Page("integrations", ("company:integrations",), SAMIR),
    Page("integration", ("company:integration", "accounting"), SAMIR),
    Page("billing-closed", ("company:billing",), MIRA, status=403),
    Page("features-not-for-you", ("company:feature_list",), LENA, status=403),
)
DOOR = (
    Page("sign-in", ("login",), NOBODY),
    Page("invitation-over", ("invitation", "x", "y"), NOBODY, status=410),
    Page("forbidden", ("console:overview",), MIRA, status=403),
    Page("error-400", ("error_400",), status=400),
    Page("error-malformed", ("error_malformed",), status=400),
    Page("error-405", ("error_405",), status=405),
    Page("error-404", ("error_404",), status=404),
    Page("error-500", ("error_500",), status=500),
    Page("error-503", ("error_503",), status=503),
)
OPENED = (
    Page("palette-open", ("console:overview",), opens=("[data-dialog=palette]",), shows="dialog[open] input"),
    Page("default-drawer", ("console:flag_list",), opens=("#default-driver_chat",)),
    Page(
        "differs-drawer",
        ("console:flag_list",),
        opens=("#differs-api_access",),
        shows="#differs-api_access[aria-expanded=true]",
    ),
    Page("kill-drawer", ("console:flag_detail", "api_access"), opens=("#kill-api_access",)),
    Page("delete-drawer", ("console:flag_detail", "api_access"), opens=("#delete-api_access",)),
    Page("archive-drawer", ("console:flag_detail", "api_access"), opens=("#archive-api_access",)),
    Page("override-drawer", ("console:flag_detail", "api_access"), opens=("#edit-api_access-cobalt-transit",)),
    Page("reset-drawer", ("console:flag_detail", "api_access"), opens=("#reset-api_access-cobalt-transit",)),
    Page("promote-drawer", ("console:release_board",), opens=("#promote-trip_management",)),
    Page("roll-back-drawer", ("console:release_board",), opens=("#roll_back-trip_management",)),
    Page("start-drawer", ("console:flag_detail", "driver_chat"), opens=("[hx-get*='/release/start/']",)),
    Page("gate-drawer", ("console:gate_list",), opens=("[id^=edit-]",)),
    Page("revert-drawer", ("console:company_changes", TALBI), opens=("[id^=revert-]",)),
    Page("token-drawer", ("console:token_list",), opens=("[id^=revoke-]",)),
    Page("role-drawer", MEMBERS, opens=("[id^=role-]",)),
    Page("grants-drawer", MEMBERS, opens=("[id^=grants-]",)),
    Page("feature-drawer", ("console:company_features", TALBI), opens=("#override-api_access",)),
)
PAGES = (*FLAGS, *RELEASES, *ASKING, *COMPANIES, *COMPANY, *DOOR)
ALL = (*PAGES, *OPENED)

NO_PAGES = {
    # Posted to, and never shown
    "console:view_save",
    "console:view_rename",
    "console:view_delete",
    "console:density",
    "console:gate_move",
    "console:member_invite",
    "console:member_revoke",
    "console:view_as_stop",
    "console:batch_stop",
    "logout",
    "workspace",
    # Pieces of pages, and files
    "console:completion",
    "console:suggestion",
    "console:requirement",
    "console:inspector_options",
    "console:overview_changes",
    "console:overview_ending",
    "console:overview_releases",
    "console:isolation_report",
    "console:change_csv",
    "console:change_json",
    # Sends everybody on to a page of their own
    "home",
    # For machines
    "healthz",
    "readyz",
    "metrics",
}


def names() -> set[str]:
    """Return the names of all URL patterns that the list has."""
    return set(chain.from_iterable(page.url[:1] for page in PAGES))
