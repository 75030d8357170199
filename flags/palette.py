"""What the command palette finds: flags, companies, pages, a person's views, and what can be done. Reads only.

A text that begins with a verb ("kill trip", "override billing for globex", "view as talbi") finds actions; any other
finds things by name first, and what can be done with the best of them. Small slips of typing are forgiven where nothing
matches as it stands.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from django.db.models import Q

from flags.models import Flag
from flags.releasemodels import Release
from flags.viewmodels import SavedView
from tenants.models import Company, User
from tenants.names import begins, named

SHOWN = 5
FORGIVING_AMONG = 2000
SLIP = 0.75
"""How much alike two words must be to pass for one another (the ratio of difflib's SequenceMatcher)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to go to. `place` is the name of a page and `args` what it is of; `query` a search there."""

    title: str
    place: str
    args: tuple[str, ...] = ()
    icon: str = "arrow-right"
    state: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one kind; `more` leads to all of them where there are more than are shown."""

    title: str
    items: Sequence[Item]
    more: Item | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done with a flag. `fits` says with which."""

    words: str
    also: tuple[str, ...]
    place: str
    icon: str
    fits: Callable[[Flag, bool], bool] = field(default=lambda flag, is_releasing: True)

    def begins(self, text: str) -> str | None:
        """Return what follows the verb in a text, or None where the text does not begin with it."""
        for each in (self.words.lower(), *self.also):
            if text == each or text.startswith(f"{each} "):
                return text[len(each) :].strip()
            if len(text) > 1 and each.startswith(text):
                return ""
        return None


PAGES = (
    Item("Overview", "overview", icon="half"),
    Item("Flags", "flag_list", icon="flag"),
    Item("Companies", "company_list", icon="building"),
    Item("Releases", "release_board", icon="rocket"),
    Item("Inspector", "inspector", icon="ladder"),
    Item("Tenant isolation audit", "isolation", icon="shield"),
    Item("History", "change_list", icon="history"),
    Item("Tokens", "token_list", icon="key"),
    Item("New flag", "flag_new", icon="plus"),
    Item("New company", "company_new", icon="plus"),
    Item("New token", "token_new", icon="plus"),
    Item("Start a release", "release_pick", icon="rocket"),
)
VERBS = (
    Verb("Kill", (), "flag_kill", "kill", lambda flag, is_releasing: flag.killed_at is None),
    Verb("Revive", (), "flag_revive", "revive", lambda flag, is_releasing: flag.killed_at is not None),
    Verb("Promote", (), "release_promote", "rocket", lambda flag, is_releasing: is_releasing),
    Verb("Roll back", ("rollback",), "release_roll_back", "undo", lambda flag, is_releasing: is_releasing),
    Verb("Release", ("start",), "release_start", "rocket", lambda flag, is_releasing: not is_releasing),
    Verb("Edit", (), "flag_edit", "edit"),
    Verb("Archive", (), "flag_archive", "minus"),
)
OVERRIDE = Verb("Override", (), "flag_override", "building")
VIEW_AS = Verb("View as", ("view",), "view_as", "eye")


def find(text: str, viewer: User) -> list[Group]:
    """Return what a text finds, by kind, the likeliest kind first; of an empty one, the pages. A few queries."""
    text = " ".join(text.lower().split())[:100]
    if not text:
        return _filled(Group("Views", _views("", viewer)), Group("Pages", PAGES))
    actions = _spoken(text, viewer)
    flags, companies = _flags(text, viewer), _companies(text)
    if not actions:
        actions = _possible(flags, companies)
        return _filled(
            _flag_group(text, flags),
            _company_group(text, companies),
            Group("Views", _views(text, viewer)),
            Group("Actions", actions[: SHOWN + 1]),
            Group("Pages", _pages(text)),
        )
    return _filled(
        Group("Actions", actions[: SHOWN + 3]),
        _flag_group(text, flags),
        _company_group(text, companies),
        Group("Pages", _pages(text)),
    )


def _filled(*groups: Group) -> list[Group]:
    return [group for group in groups if group.items]


def _flag_group(text: str, flags: Sequence[Flag]) -> Group:
    more = Item("All flags that match", "flag_list", query=text) if len(flags) > SHOWN else None
    return Group("Flags", [_flag_item(flag) for flag in flags[:SHOWN]], more)


def _company_group(text: str, companies: Sequence[Company]) -> Group:
    more = Item("All companies that match", "company_list", query=text) if len(companies) > SHOWN else None
    return Group("Companies", [_company_item(company) for company in companies[:SHOWN]], more)


def _flag_item(flag: Flag) -> Item:
    state = "Killed" if flag.is_killed else "On by default" if flag.default_enabled else "Off by default"
    return Item(flag.name, "flag_detail", (flag.key,), "flag", state)


def _company_item(company: Company) -> Item:
    state = company.channel.name if company.is_active else "Inactive"
    return Item(company.name, "company_detail", (company.slug,), "building", state)


def _pages(text: str) -> list[Item]:
    return [page for page in PAGES if all(word in page.title.lower() for word in text.split())][:SHOWN]


def _views(text: str, viewer: User) -> list[Item]:
    kept = SavedView.objects.filter(person=viewer, name__icontains=text)[:SHOWN]
    places = {SavedView.Of.FLAGS: "flag_list", SavedView.Of.COMPANIES: "company_list"}
    return [Item(view.name, places[SavedView.Of(view.of)], icon="filter", query=view.query) for view in kept]


# Actions


def _spoken(text: str, viewer: User) -> list[Item]:
    """Return the actions that a text names by their verb."""
    found: list[Item] = []
    for verb in VERBS:
        rest = verb.begins(text)
        if rest is not None:
            flags = _flags(rest, viewer, 50)
            releasing = _releasing(flags)
            fitting = [flag for flag in flags if verb.fits(flag, flag.key in releasing)]
            found += [_action(verb, flag) for flag in fitting[:SHOWN]]
    rest = OVERRIDE.begins(text)
    if rest is not None:
        found += _overrides(rest, viewer)
    rest = VIEW_AS.begins(text)
    if rest is not None:
        found += [_view_as(company) for company in _companies(rest) if company.is_active][:SHOWN]
    return found


def _possible(flags: Sequence[Flag], companies: Sequence[Company]) -> list[Item]:
    """Return what can be done with the best match of each kind."""
    found = []
    for flag in flags[:1]:
        releasing = _releasing([flag])
        found += [_action(verb, flag) for verb in VERBS if verb.fits(flag, flag.key in releasing)]
        found.insert(1, _override(flag, companies[0] if companies else None))
    found += [_view_as(company) for company in companies[:1] if company.is_active]
    return found


def _action(verb: Verb, flag: Flag) -> Item:
    return Item(f"{verb.words} {flag.name}…", verb.place, (flag.key,), verb.icon, flag.key)


def _view_as(company: Company) -> Item:
    return Item(f"View as {company.name}…", VIEW_AS.place, (company.slug,), VIEW_AS.icon, company.slug)


def _override(flag: Flag, company: Company | None) -> Item:
    if company is None:
        return Item(f"Override {flag.name} for a company…", "flag_detail", (flag.key,), OVERRIDE.icon, flag.key)
    args = (flag.key, company.slug)
    return Item(f"Override {flag.name} for {company.name}…", OVERRIDE.place, args, OVERRIDE.icon)


def _overrides(text: str, viewer: User) -> list[Item]:
    """Return overrides of a flag for a company, wherever in the text the one ends and the other begins."""
    words = text.split()
    splits = [len(words) - 1 - words[::-1].index("for")] if "for" in words else range(len(words), 0, -1) or [0]
    for at in splits:
        named = [word for word in words[at:] if word != "for"]
        flags = _flags(" ".join(words[:at]), viewer)
        companies: list[Company | None] = [*_companies(" ".join(named))]
        if flags and (companies or not named):
            some: list[Company | None] = [*companies] or [None]
            return [_override(flag, company) for flag in flags for company in some][:SHOWN]
    return []


def _releasing(flags: Iterable[Flag]) -> set[str]:
    keys = [flag.key for flag in flags]
    return set(Release.objects.filter(flag__in=keys, ended_at=None).values_list("flag_id", flat=True))


# Finding by name


def _flags(text: str, viewer: User, most: int = SHOWN + 1) -> list[Flag]:
    visible = matching = Flag.objects.live().visible_to(viewer)
    for word in text.split():
        matching = matching.filter(Q(name__icontains=word) | Q(key__icontains=word))
    found = list(matching.order_by("name", "key")[:50])
    if found or not text:
        return sorted(found, key=lambda flag: not f"{flag.name} {flag.key}".lower().startswith(text))[:most]
    names = visible.values_list("key", "name")[:FORGIVING_AMONG]
    alike = _alike(text, {key: f"{name} {key.replace('_', ' ')}" for key, name in names})[:most]
    return sorted(visible.filter(key__in=alike), key=lambda flag: alike.index(flag.key))


def _companies(text: str) -> list[Company]:
    if not text:
        return []
    rows = Company.objects.select_related("channel")
    found = list(named(rows, *text.split()).order_by("name", "pk")[: SHOWN + 1])
    if not found:
        # Among those that begin alike: nobody reads a hundred thousand names for a slip of typing.
        near = rows.filter(begins(text[:2])).order_by("slug").values_list("slug", "name")[:FORGIVING_AMONG]
        alike = _alike(text, dict(near))[:SHOWN]
        found = sorted(rows.filter(slug__in=alike), key=lambda company: alike.index(company.slug))
    return found


def _alike(text: str, names: dict[str, str]) -> list[str]:
    """Return the keys of the names that hold, for each word of a text, one much like it."""
    found = names
    for word in text.split():
        found = {key: name for key, name in found.items() if get_close_matches(word, name.lower().split(), 1, SLIP)}
    return list(found)
