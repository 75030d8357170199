"""Companies by words of their names: the one way in which everything that searches them finds them.

A word is found wherever it stands in the name or the slug, in whatever case.

PostgreSQL must apply a row-level policy before it may compare by LIKE, so that no index serves one (docs/adr/0015), and
every name would be read. Equality it may ask first. So each company's name is also kept under every three letters that
follow one another in it (`NameTrigram`): a search reads the entries of three of its own letters, in the order of names,
and looks at the texts beside them. SQLite has no policies, and reads the names.
"""

import re
from functools import reduce
from operator import or_

from django.db import connections
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Left, Lower

from tenants.models import Company

LETTERS = 3
# No three letters are kept across these: slugs and names mostly are the same words, parted by one or the other.
APART = "- \n"


def named(companies: QuerySet[Company], *words: str) -> QuerySet[Company]:
    """Return those of these companies whose name or slug holds every word, wherever in it; all of them for no word.

    In the order of names the first ones are found without reading on. Where no word has three letters in a row, every
    name is read.
    """
    words = tuple(word for word in words if word)
    piece = max((piece for word in words for piece in re.split(f"[{APART}]", word)), key=len, default="")
    if len(piece) < LETTERS or connections[companies.db].vendor != "postgresql":
        for word in words:
            companies = companies.filter(holds(word))
        return companies
    # The name is the company's own, and said to be so that the order of the entries is known to be that of companies.
    kept = Q(trigrams__trigram=Left(Lower(Value(piece)), LETTERS), trigrams__name=F("name"))
    for word in words:
        kept &= Q(trigrams__text__contains=Lower(Value(word)))
    return companies.filter(kept)


def begins(text: str) -> Q:
    """Return the condition that a company's slug begins with a text, which an index serves if it is ASCII."""
    condition = Q(slug__startswith=text)
    if text and text.isascii():
        # By order may be asked before a policy. Where slugs are sorted by rules of a language, it finds a little less.
        condition &= Q(slug__gte=text, slug__lt=text[:-1] + chr(ord(text[-1]) + 1))
    return condition


def holds(word: str) -> Q:
    """Return the condition that a company's name or slug holds a word. Reads every name there is."""
    # SQLite knows upper and lower case of ASCII alone.
    spellings = {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}
    # A slug is in lower case already, and lowering a hundred thousand of them takes as long as comparing them.
    return reduce(or_, (Q(name__icontains=spelling) for spelling in spellings), Q(slug__contains=word.lower()))
