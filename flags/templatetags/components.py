"""Components that look the same each time: drawn once, and shown as often as a long list needs them."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.template.loader import get_template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

DRAWINGS_KEPT = 8000


@register.simple_tag
def draw(component: str, /, **facts: Any) -> SafeString:
    """Show a component, like `include … with … only`, for facts that can be compared: texts, numbers, lists of them.

    The same facts are drawn once for each time zone in the life of a process, so nothing in a component may depend on
    anything else.
    """
    kept = tuple((fact, tuple(value) if isinstance(value, list) else value) for fact, value in facts.items())
    zone = timezone.get_current_timezone_name()
    return _draw.__wrapped__(component, kept, zone) if settings.DEBUG else _draw(component, kept, zone)


@lru_cache(DRAWINGS_KEPT)
def _draw(component: str, facts: tuple[tuple[str, Hashable], ...], zone: str) -> SafeString:
    return mark_safe(get_template(component).render(dict(facts)).strip())  # noqa: S308 - a template has escaped what needs it
