"""History: who changed what, when and why; as sentences, and back again."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from flags import history, reverting, rollbacks
from flags.bulkimpact import impact_of_overrides
from flags.companyimpact import CompanyImpact, impact_of_move
from flags.console.forms import ChangeFilterForm, ChangeForm, CursorForm, check_typed
from flags.console.gate import through_gate
from flags.console.paging import address
from flags.console.responses import console_view, go_to, malformed, page_or_fragment, say_what_changed, sent, way_back
from flags.exceptions import Missing
from flags.models import Change, Flag
from flags.requests import HttpRequest
from flags.sentences import FieldChange, Sentence, compared, fields, sentence
from tenants.models import Company, Plan, User

CHANGES_PER_PAGE = 25
LOOK_ON = (
    f"{history.LOOKED_THROUGH:,} changes were looked through. There are more: look on, or name a flag or a company."
)


@dataclass(frozen=True, slots=True)
class Words:
    """A few words of a line: of no thing (`is_plain`), or of one, with its page unless it is gone since."""

    text: str
    is_plain: bool
    url: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of history as a page shows it. `revert_url` is empty where nothing takes it back."""

    change: Change
    sentence: Sentence
    words: list[Words]
    fields: list[FieldChange]
    revert_url: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Neighbouring lines of history that belong together: one, or several of one batch, which has `total` in all.

    Of a long batch `total` says so, and no more (`history.batch_sizes`).
    """

    first: Entry
    others: list[Entry]
    total: int

    @property
    def batch(self) -> UUID | None:
        return self.first.change.batch if self.total > 1 else None

    @property
    def in_all(self) -> str:
        """How many lines the batch has, in words."""
        return f"more than {history.MANY:,}" if self.total > history.MANY else str(self.total)


def entries(changes: Iterable[Change], *, flags: Collection[str] = ()) -> list[Entry]:
    """Return lines of history ready to be shown. Two queries, whatever their number.

    `flags` are keys of flags that are known to be there; only others are asked for.
    """
    found = list(changes)
    unsure = {change.flag for change in found}.difference(flags, ("",))
    there = set(Flag.objects.filter(key__in=unsure).values_list("key", flat=True)) if unsure else set()
    slugs = {change.company_slug for change in found if change.company_slug}
    companies = set(Company.objects.filter(slug__in=slugs).values_list("slug", flat=True)) if slugs else set()
    pages = {("flag", key): f"{reverse('console:flag_list')}{key}/" for key in there.union(flags)}
    pages |= {("company", slug): f"{reverse('console:company_list')}{slug}/" for slug in companies}
    lines = reverse("console:change_list")
    return [
        Entry(
            change,
            said,
            [Words(part.text, part.kind == "text", pages.get((part.kind, part.ref), "")) for part in said.parts],
            fields(change),
            f"{lines}{change.pk}/revert/" if reverting.can_revert(change) else "",
        )
        for change, said in ((change, sentence(change)) for change in found)
    ]


def by_day(changes: Iterable[Change], *, apart: bool = False) -> list[tuple[date, list[Lines]]]:
    """Return lines of history by day, those of one batch folded into one. Three queries, whatever their number.

    `apart` leaves every line by itself, for a page that is about one batch.
    """
    found = list(changes)
    sizes = {} if apart else history.batch_sizes(found)
    days = groupby(entries(found), key=lambda entry: timezone.localdate(entry.change.at))
    return [(day, list(_folded(of_day, sizes))) for day, of_day in days]


def _folded(of_day: Iterable[Entry], sizes: Mapping[UUID, int]) -> Iterator[Lines]:
    def together(entry: Entry) -> UUID:
        batch = entry.change.batch
        return batch if batch is not None and sizes.get(batch, 1) > 1 else entry.change.pk

    for name, group in groupby(of_day, key=together):
        first, *others = group
        yield Lines(first, others, sizes.get(name, 1))


@console_view("GET")
def change_list(request: HttpRequest) -> HttpResponse:
    """Every change as a sentence, newest first, with filters that live in the address."""
    form = ChangeFilterForm(request.GET)
    filters = form.filters()
    unasked = ("before", "after", *form.errors)
    page = history.page_of_changes(CHANGES_PER_PAGE, **filters, **CursorForm(request.GET).filters())
    context = {
        "form": form,
        "problems": form.problems,
        "filters": filters,
        "chips": [
            (form[name].label, _called(name, value), address(request, "", **{name: None}))
            for name, value in filters.items()
        ],
        "days": by_day(page.rows, apart="batch" in filters),
        "today": timezone.localdate(),
        "newer": address(request, before=page.previous, after=None) if page.previous else None,
        "older": address(request, after=page.next, before=None) if page.next else None,
        "unfinished": LOOK_ON if page.unfinished else "",
        "files": [
            (kind.upper(), address(request, reverse(f"console:change_{kind}"), **dict.fromkeys(unasked)))
            for kind in ("csv", "json")
        ],
        "here": request.get_full_path(),
    }
    said = f"{len(page.rows)} changes"
    return page_or_fragment(request, "console/change_list.html", "console/_change_found.html", context, said=said)


def files(**filters: str) -> list[tuple[str, str]]:
    """Return the files of the history with these filters: what kind each is, and its address."""
    query = urlencode(filters)
    return [(kind.upper(), f"{reverse(f'console:change_{kind}')}?{query}") for kind in ("csv", "json")]


def _called(name: str, value: Any) -> Any:
    """Return a filter as its chip says it: a person by name, a batch in short."""
    if name == "batch":
        return str(value)[:8]
    return (User.objects.filter(pk=value).first() or value) if name == "person" else value


@console_view("GET", "POST")
def change_revert(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Bring back what a change replaced, if nobody has touched it since."""
    change = get_object_or_404(Change, pk=pk)
    if reverting.goes_in_steps(change):
        return go_to(request, reverse("console:batch_undo", args=[change.batch]))
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    back = way_back(request, form.cleaned_data["next"], reverse("console:change_list"))
    try:
        proposed = reverting.proposed(change)
    except Missing as gone:
        raise Http404(gone.detail) from gone

    deactivates = reverting.deactivates(change)
    if deactivates and "typed" not in request.POST:
        form.cleaned_data["ask"] = True  # From an undo, too: whom it hits is shown first, and its name asked for.

    def look() -> dict[str, Any]:
        [entry] = entries([change])
        company, turns = _company_after(change)
        return {
            "company": company,
            "turns": turns,
            "deactivates": deactivates,
            "entry": entry,
            "taken_back": compared(change.after, change.before),
            "flag": Flag.objects.filter(key=change.flag).first(),
            "action": request.path,
            "drawer_id": f"drawer-revert-{pk}",
            "return_focus": f"revert-{pk}",
            "close_url": back,
        }

    def finish() -> HttpResponse:
        say_what_changed(request)
        return go_to(request, back)

    def act() -> None:
        if deactivates:
            check_typed(form, change.company_slug, "Deactivating a company")
        reverting.revert(change, actor=request.principal.user, reason=form.cleaned_data["reason"])

    return through_gate(
        request,
        form,
        proposed=proposed,
        act=act,
        drawer="console/_change_revert_drawer.html",
        look=look,
        finish=finish,
        always_asks=True,
        needs_reason=change.verb in ("kill", "revive"),
    )


def _company_after(change: Change) -> tuple[Company | None, CompanyImpact | None]:
    """Return the one company that taking a change back is about, and what becomes of its features; or nothing."""
    was = change.before
    if change.verb in reverting.OF_COMPANIES and reverting.MOVING & was.keys():
        company = get_object_or_404(Company.objects.select_related("plan"), pk=change.company_id)
        try:
            return company, impact_of_move(company, was.get("channel"), was.get("plan"), was.get("is_active"))
        except Plan.DoesNotExist as gone:
            raise Http404(f"There is no plan {was['plan']!r} any more.") from gone
    if change.verb in reverting.BATCHES and change.batch is not None:
        after = rollbacks.overrides_after_undo(change.batch)
        companies = {pk for pk, _ in after}
        if len(companies) == 1 and len(after) > 1:
            company = get_object_or_404(Company.objects.select_related("plan"), pk=companies.pop())
            return company, impact_of_overrides(company, {key: fact for (_, key), fact in after.items()})
    return None, None
