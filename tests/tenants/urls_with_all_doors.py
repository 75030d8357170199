"""The pages that people are sent to, and nothing behind them. Used as ROOT_URLCONF."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


console = ([path("", page, name="overview")], "console")
company = ([path("features/", page, name="feature_list"), path("integrations/", page, name="integrations")], "company")

urlpatterns = [
    path("", include("tenants.urls")),
    path("super-admin/", include(console)),
    path("", include(company)),
]
