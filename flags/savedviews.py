"""Queries that a person keeps under a name: saved, renamed, deleted.

They leave no line of history: they are one person's bookmarks, move nobody's answer, and history is for what does.
"""

import uuid

from flags.exceptions import ChangeRefused, Invalid, Missing
from flags.querytext import LONGEST
from flags.recording import authorise, clean_text, writing
from flags.repeating import verb
from flags.viewmodels import SavedView
from tenants.models import User

MOST = 30
LONGEST_NAME = 40


@verb
def save_view(person: User, of: str, name: str, query: str) -> SavedView:
    """Keep a query under a name; one of that name, in whatever case, is replaced. Raises Invalid, ChangeRefused."""
    authorise(person, ())
    if of not in SavedView.Of.values:
        raise Invalid(f"There is no list of {of!r}.", errors={"of": ["Flags or companies."]})
    name = clean_text(name, "name", longest=LONGEST_NAME, required=True)
    query = clean_text(query, "query", longest=LONGEST)
    if not query:
        raise Invalid("There is nothing to save: search for something first.", errors={"query": ["Empty."]})
    with writing("save a view"):
        mine = SavedView.objects.filter(person=person, of=of)
        view = mine.filter(name__iexact=name).first()
        if view is None and mine.count() >= MOST:
            raise ChangeRefused(f"You have {MOST} views already. Delete one first.", code="TOO_MANY_VIEWS")
        view = view or SavedView(person=person, of=of)
        view.name, view.query = name, query
        view.save()
    return view


@verb
def rename_view(person: User, pk: uuid.UUID, name: str) -> SavedView:
    """Give a view of one's own another name. Raises Missing, Invalid, or ChangeRefused where the name is taken."""
    authorise(person, ())
    name = clean_text(name, "name", longest=LONGEST_NAME, required=True)
    with writing("rename a view"):
        view = _own(person, pk)
        if SavedView.objects.filter(person=person, of=view.of, name__iexact=name).exclude(pk=pk).exists():
            raise ChangeRefused(f"You have a view {name!r} already.", code="NAME_TAKEN")
        view.name = name
        view.save(update_fields=["name"])
    return view


@verb
def delete_view(person: User, pk: uuid.UUID) -> SavedView:
    """Delete a view of one's own, and return what it was. Raises Missing."""
    authorise(person, ())
    with writing("delete a view"):
        view = _own(person, pk)
        SavedView.objects.filter(pk=pk).delete()
    return view


def _own(person: User, pk: uuid.UUID) -> SavedView:
    view = SavedView.objects.filter(person=person, pk=pk).first()
    if view is None:
        raise Missing("You have no such view.", code="VIEW_NOT_FOUND")
    return view
