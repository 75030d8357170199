"""The language of the search fields: `is:killed category:billing on:pilot -owner:me "exact words" text`. Pure.

Grammar (blanks part words; every word must hold; a word in quotes is looked for as it stands):

    query     = { word }
    word      = [ "-" ] ( qualifier ":" value { "," value } | text | shortcut )
    value     = bare | '"' … '"'
    text      = bare | '"' … '"'

A leading minus turns a word round. A comma means either: `on:pilot,general`. Repeating a qualifier means both. A last
quote may be missing. Shortcuts are words that stand for a qualifier with its value: `stale` for `is:stale`; in quotes
they are text. Upper and lower case are the same everywhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

LONGEST = 500
_TOKEN = re.compile(r'(?:"[^"]*"?|[^\s"])+')
_QUALIFIED = re.compile(r"([A-Za-z][A-Za-z-]*):(.*)", re.DOTALL)
_VALUE = re.compile(r'"([^"]*)"?|([^,"]+)')


@dataclass(frozen=True, slots=True)
class Qualifier:
    """What may stand before a colon. `values` says in words what each does, or is None where data decide."""

    name: str
    meaning: str
    example: str
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """What may be said in one search field, and of what."""

    things: str
    qualifiers: Mapping[str, Qualifier]
    shortcuts: Mapping[str, str] = field(default_factory=dict)
    """Single words, and the qualified word each stands for."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query: text where it has no `name`. `start` and `end` say where it was typed."""

    typed: str
    name: str
    values: tuple[str, ...]
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A word that was not understood, why, and the whole query put right, if there is a guess."""

    word: str
    message: str
    better: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A text, and what was understood of it. What was not is among the problems, and left out of the terms."""

    text: str
    terms: tuple[Term, ...]
    problems: tuple[Problem, ...]

    def without(self, term: Term) -> str:
        """Return the text without one of its words."""
        return " ".join((self.text[: term.start] + self.text[term.end :]).split())

    def has(self, word: str) -> bool:
        """Whether this very word is among those typed."""
        return any(term.typed.lower() == word.lower() for term in self.terms)

    def with_word(self, word: str) -> str:
        """Return the text with one more word."""
        return self.text if self.has(word) else f"{self.text} {word}".strip()


def _table(*qualifiers: Qualifier) -> dict[str, Qualifier]:
    return {qualifier.name: qualifier for qualifier in qualifiers}


FLAGS = Language(
    "flags",
    _table(
        Qualifier(
            "is",
            "what a flag is",
            "is:killed",
            {
                "on": "on by default",
                "off": "off by default",
                "killed": "off for everybody, by kill switch",
                "overridden": "some company has its own answer",
                "expiring": "an override ends within two weeks",
                "releasing": "a release is under way",
                "stale": "probably done with; the row says why",
                "never-evaluated": "no code ever asked for it",
                "internal": "hidden from everybody but super admins",
                "kill-switch": "rests on, and is there to be pulled",
                "self-service": "companies choose themselves",
                "archived": "put away",
            },
        ),
        Qualifier("category", "what a flag is filed under", "category:billing"),
        Qualifier("owner", "who looks after it: a part of the name, me, or none", "owner:me"),
        Qualifier("on", "on for a channel, by its own answer or else by default", "on:pilot"),
        Qualifier("off", "off for a channel, by its own answer or else by default", "off:general"),
        Qualifier("overridden", "a company has its own answer", "overridden:globex"),
        Qualifier("needs", "what people need to use it", "needs:grant", {"grant": "people need a grant of their own"}),
        Qualifier("plan", "the least plan that includes it", "plan:pro"),
        Qualifier("requires", "another flag that must be on for it", "requires:billing_enabled"),
    ),
    {"stale": "is:stale", "never-evaluated": "is:never-evaluated"},
)
COMPANIES = Language(
    "companies",
    _table(
        Qualifier(
            "is",
            "what a company is",
            "is:inactive",
            {
                "active": "answered by its own rules",
                "inactive": "answered like no company at all",
                "overridden": "has its own answer to some flag",
                "expiring": "one of its overrides ends within two weeks",
            },
        ),
        Qualifier("channel", "its release channel", "channel:pilot"),
        Qualifier("plan", "what it pays for", "plan:pro"),
        Qualifier("overridden", "has its own answer to a flag", "overridden:api_access"),
    ),
)


def parse(text: str, language: Language) -> Query:
    """Return what a text says. Never raises: what is not understood is told in `problems`."""
    text = " ".join(text[:LONGEST].split()) if '"' not in text else text[:LONGEST].strip()
    terms: list[Term] = []
    problems: list[Problem] = []
    for found in _TOKEN.finditer(text):
        term = _term(found.group(), found.start(), language)
        problem = _problem(term, text, language)
        if problem is not None:
            problems.append(problem)
        elif term.values:
            terms.append(term)
    return Query(text, tuple(terms), tuple(problems))


def _term(typed: str, start: int, language: Language) -> Term:
    negated = typed.startswith("-") and len(typed) > 1
    word = typed[1:] if negated else typed
    word = language.shortcuts.get(word.lower(), word)
    qualified = _QUALIFIED.fullmatch(word)
    if qualified:
        name, rest = qualified[1].lower(), qualified[2]
        values = tuple((a or b).strip() for a, b in _VALUE.findall(rest))
        return Term(typed, name, tuple(filter(None, values)), negated, start, start + len(typed))
    text = word.replace('"', "").strip()
    return Term(typed, "", (text,) if text else (), negated, start, start + len(typed))


def _problem(term: Term, text: str, language: Language) -> Problem | None:
    if not term.name:
        return None
    qualifier = language.qualifiers.get(term.name)
    if qualifier is None:
        guess = close_to(term.name, language.qualifiers)
        return Problem(
            term.typed,
            f"“{term.name}:” means nothing here. There are {listed(f'{name}:' for name in language.qualifiers)}. "
            "To look for it as text, put it in quotes.",
            _mended(text, term, f"{term.name}:", f"{guess}:") if guess else "",
        )
    if not term.values:
        return Problem(term.typed, f"“{term.name}:” needs to know {qualifier.meaning}, as in {qualifier.example}.")
    if qualifier.values is not None:
        for value in term.values:
            if value.lower() not in qualifier.values:
                return unknown(term, value, qualifier.values, text, f"{term.name}: takes {listed(qualifier.values)}.")
    return None


def unknown(term: Term, value: str, known: Iterable[str], text: str, instead: str) -> Problem:
    """Return the problem of a value there is not; `instead` says what would be right."""
    guess = close_to(value, known)
    said = f"“{value}” in “{term.typed}” is not known. {instead}"
    return Problem(term.typed, said, _mended(text, term, value, quoted(guess)) if guess else "")


def _mended(text: str, term: Term, wrong: str, right: str) -> str:
    at = term.typed.lower().find(wrong.lower())
    mended = term.typed[:at] + right + term.typed[at + len(wrong) :]
    return text[: term.start] + mended + text[term.end :]


def close_to(word: str, known: Iterable[str]) -> str:
    """Return which of these was probably meant, or nothing."""
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(word.lower(), by_lower, 1, 0.6)
    return by_lower[near[0]] if near else ""


def listed(words: Iterable[str]) -> str:
    """Return words as a sentence lists them: a, b and c."""
    *most, last = list(words)
    return f"{', '.join(most)} and {last}" if most else last


def quoted(value: str) -> str:
    """Return a value as it is written behind a colon."""
    return f'"{value}"' if re.search(r"[\s,]", value) else value


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to go on: what it adds, what that means, and the whole text with it. Complete ones end a word."""

    word: str
    meaning: str
    text: str
    is_complete: bool


Values = Callable[[str, str], Sequence[tuple[str, str]]]
"""Look up what may stand behind a qualifier, beginning as typed: values, and what each is."""


def completions(text: str, caret: int, language: Language, values: Values, most: int = 8) -> list[Completion]:
    """Return how the word at the caret may go on. `values` is asked for qualifiers whose values are data."""
    text = text[:LONGEST]
    caret = min(max(caret, 0), len(text))
    here = next((m for m in _TOKEN.finditer(text) if m.start() < caret <= m.end()), None)
    start, end = (here.start(), here.end()) if here else (caret, caret)
    typed = text[start:caret]
    minus = "-" if typed.startswith("-") else ""
    word = typed[len(minus) :]
    found: list[Completion] = []

    def offer(word: str, meaning: str, complete: bool) -> None:
        new = f"{text[:start]}{minus}{word}{' ' if complete else ''}{text[end:].lstrip() if complete else text[end:]}"
        found.append(Completion(minus + word, meaning, new, complete))

    qualified = _QUALIFIED.fullmatch(word)
    if qualified and qualified[1].lower() in language.qualifiers:
        qualifier = language.qualifiers[qualified[1].lower()]
        said, _, last = qualified[2].rpartition(",")
        before = f"{qualifier.name}:{said}," if said else f"{qualifier.name}:"
        last = last.replace('"', "")
        known = qualifier.values.items() if qualifier.values is not None else values(qualifier.name, last)
        for value, meaning in known:
            if qualifier.values is None or value.startswith(last.lower()):
                offer(before + quoted(value), meaning, True)
    elif not word.startswith('"'):
        for qualifier in language.qualifiers.values():
            if qualifier.name.startswith(word.lower()):
                offer(f"{qualifier.name}:", qualifier.meaning, False)
        if word and "is" in language.qualifiers:
            for value, meaning in (language.qualifiers["is"].values or {}).items():
                if value.startswith(word.lower()):
                    offer(f"is:{value}", meaning, True)
    return found[:most]
