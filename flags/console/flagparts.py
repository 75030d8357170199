"""Parts of a flag's page that it leaves to be fetched after it: its companies, overrides, grants and history.

Each has an address of its own, which htmx asks as soon as the page is there. An address of the page that says something
about a part has it in the page, and one with `show=all` all of them, so that nothing needs scripts.
"""

from django.http import QueryDict

from flags.console.channelcompanies import CompaniesForm
from flags.console.forms import GrantsForm, PickForm

COMPANIES, OVERRIDES, GRANTS, HISTORY = "companies", "overrides", "grants", "history"
ALL = frozenset((COMPANIES, OVERRIDES, GRANTS, HISTORY))
BY_FORM = {COMPANIES: CompaniesForm, OVERRIDES: PickForm, GRANTS: GrantsForm}


def parts_at_once(asked: QueryDict) -> frozenset[str]:
    """Return the parts that an address of the page wants in the page itself."""
    if asked.get("show") == "all":
        return ALL
    return frozenset(part for part, form in BY_FORM.items() if form(asked).filters())
