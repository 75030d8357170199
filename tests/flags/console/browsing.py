"""What a browser sends and a reader sees."""

import re
from html import unescape

from django.http import HttpResponse

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/super-admin/feature-flags/"}


def text_of(response: HttpResponse) -> str:
    """Return what a page says, without markup, in single spaces."""
    markup = re.sub(r"<(script|template).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def said_by(response: HttpResponse) -> str:
    """Return the same as a reader hears it: no space before a full stop only because markup ended there."""
    return re.sub(r" ([.,;:])", r"\1", text_of(response))


def seen_in(response: HttpResponse) -> str:
    """Return the stamp of what a drawer shows, as it sends it back."""
    return unescape(re.search(r'name="seen" value="([^"]+)"', response.content.decode())[1])
