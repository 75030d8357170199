"""{% load flags %}: parts of a page that belong to a feature."""

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.context import Context

from flags.features import Features, current

register = template.Library()


class FeatureNode(template.Node):
    """Renders one of two parts."""

    child_nodelists = ("on", "off")

    def __init__(self, key: FilterExpression, on: NodeList, off: NodeList) -> None:
        self.key = key
        self.on = on
        self.off = off

    def render(self, context: Context) -> str:
        part = self.on if _features(context)[str(self.key.resolve(context))] else self.off
        return part.render(context)


def _features(context: Context) -> Features:
    """Return whose features a template speaks of: those it was given, the request's, or the scope's."""
    given = context.get("features")
    if isinstance(given, Features):
        return given
    return getattr(context.get("request"), "features", None) or current()


@register.tag
def feature(parser: Parser, token: Token) -> FeatureNode:
    """Show what is inside only where the feature is on; what follows an optional `else` only where it is off.

    {% feature "billing_enabled" %} … {% else %} … {% endfeature %}
    """
    bits = token.split_contents()
    if len(bits) != 2:
        raise template.TemplateSyntaxError('Name one feature: {% feature "billing_enabled" %}.')
    on = parser.parse(("else", "endfeature"))
    off = NodeList()
    if parser.next_token().contents == "else":
        off = parser.parse(("endfeature",))
        parser.delete_first_token()
    return FeatureNode(parser.compile_filter(bits[1]), on, off)
