"""Components that look the same each time, drawn once and shown as often as a long list needs them; and components
that stand around what a page says.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.template.context import Context
from django.template.loader import get_template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

DRAWINGS_KEPT = 8000


@register.tag
def draw(parser: Parser, token: Token) -> "Drawing":
    """Show a component, like `include … with … only`, for facts that can be compared: texts, numbers, lists of them.

    The same facts are drawn once for each time zone in the life of a process, so nothing in a component may depend on
    anything else. A tag of its own, because a long list shows hundreds of them: `simple_tag` takes three times as long.
    """
    name, *bits = token.split_contents()
    if not bits:
        raise template.TemplateSyntaxError(f"{name} needs the name of a component.")
    component = parser.compile_filter(bits.pop(0))
    facts = token_kwargs(bits, parser)
    if bits:
        raise template.TemplateSyntaxError(f"{name} takes facts by name, and not {bits[0]}.")
    return Drawing(component, facts)


class Drawing(template.Node):
    """A component with the facts that it is to be drawn for."""

    def __init__(self, component: FilterExpression, facts: dict[str, FilterExpression]) -> None:
        self.component, self.names, self.facts = component, tuple(facts), tuple(facts.values())

    def render(self, context: Context) -> SafeString:
        """Return the component as it was drawn for such facts before, or draw it."""
        facts = [fact.resolve(context) for fact in self.facts]
        kept = tuple([tuple(fact) if type(fact) is list else fact for fact in facts])
        zone = timezone.get_current_timezone_name()
        drawn = _draw.__wrapped__ if settings.DEBUG else _draw
        return drawn(self.component.resolve(context), self.names, kept, zone)


@register.simple_block_tag
def button(content: str, /, *looks: str, **facts: Any) -> SafeString:
    """Show the button that says what stands inside: `components/_button.html`, which lists looks and facts."""
    return _around("components/_button.html", content, looks=looks, **facts)


@register.simple_block_tag
def table(content: str, label: str, /, *columns: str, **facts: Any) -> SafeString:
    """Show the table whose bodies stand inside: `components/_table.html`, which lists the facts."""
    return _around("components/_table.html", content, label=label, columns=columns, **facts)


def _around(component: str, content: str, **facts: Any) -> SafeString:
    inside = mark_safe(content.strip())  # noqa: S308 - a template has written it
    return mark_safe(get_template(component).render({"content": inside, **facts}).strip())  # noqa: S308


@lru_cache(DRAWINGS_KEPT)
def _draw(component: str, names: tuple[str, ...], facts: tuple[Hashable, ...], zone: str) -> SafeString:
    drawn = get_template(component).render(dict(zip(names, facts, strict=True)))
    return mark_safe(drawn.strip())  # noqa: S308 - a template has escaped what needs it
