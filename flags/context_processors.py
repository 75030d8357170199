"""{{ features }} in every template."""

from django.http import HttpRequest

from flags.features import Features, current


def features(request: HttpRequest) -> dict[str, Features]:
    """Return the request's features, so that `{% if features.billing_enabled %}` works."""
    return {"features": getattr(request, "features", None) or current()}
