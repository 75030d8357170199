"""Guard a REST framework view among its permissions: `permission_classes = [FeatureEnabled("api_access")]`."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from flags import registry
from flags.guards import Guard


class FeaturePermission(BasePermission):
    """Pass where the feature is on. Raises FeatureDisabled where it is off, so that the answer can name its code."""

    guard: Guard

    def has_permission(self, request: Request, view: APIView) -> bool:
        return self.guard.ask(request, (), {}) is None


def FeatureEnabled(key: str) -> type[FeaturePermission]:
    """Return a permission that passes only where this feature is on for whoever asks.

    It refuses by raising, so combine it with others by `&`, or list it; after `|` or `~` it would not be overruled.
    """
    registry.note_use(key, registry.caller())
    return type("FeatureEnabled", (FeaturePermission,), {"guard": Guard(key), "__module__": __name__})
