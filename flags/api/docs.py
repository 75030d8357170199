"""The published description of the API, and a page to read and try it. Nothing comes from another host."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

# Swagger UI writes styles into the page; scripts still come from files of ours alone.
CSP = {"style-src": ("'self'", "'unsafe-inline'"), "img-src": ("'self'", "data:")}


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document. It is made once: the code it is made of does not change while it runs."""
    return SchemaGenerator().get_schema(request=None, public=True)


class SchemaView(APIView):
    """The API in one file: OpenAPI 3.1 as JSON, or as YAML where that is accepted."""

    authentication_classes = []
    permission_classes = []
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]
    schema = None

    def get(self, request: Request) -> Response:
        """Read the description of the API."""
        return Response(document(), headers={"Cache-Control": "public, max-age=300"})


class DocsView(SpectacularSwaggerSplitView):
    """A page to read and try the API."""

    authentication_classes = []
    permission_classes = []
    url_name = "api:schema"
    template_name = "api/docs.html"
    schema = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let this page, and no other, have the styles it writes."""
        response.csp = CSP
        return super().finalize_response(request, response, *args, **kwargs)
