"""The list of pages is whole. Needs no browser."""

from collections.abc import Iterator

from django.urls import URLPattern, get_resolver

from tests.browser import pages


def named(patterns: list, namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if not isinstance(pattern, URLPattern):
            yield from named(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif pattern.name and not namespace.startswith(("api", "ofrep")):
            yield f"{namespace}{pattern.name}"


def test_every_address_is_in_the_list_of_pages_or_is_said_to_be_none():
    site = set(named(get_resolver("config.urls").url_patterns))
    listed = {name for name in pages.names() if not name.startswith("error_")}
    assert site - listed - pages.NO_PAGES == set(), "Give it a row in tests/browser/pages.py."
    assert (listed | pages.NO_PAGES) - site == set(), "These are gone."
    assert listed & pages.NO_PAGES == set()


def test_no_two_pages_have_the_same_name():
    assert len({page.name for page in pages.ALL}) == len(pages.ALL)
