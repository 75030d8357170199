"""The map of OpenFeature's remote evaluation protocol."""

from django.urls import path

from flags.api import ofrep

app_name = "ofrep"

urlpatterns = [
    path("evaluate/flags", ofrep.BulkView.as_view(), name="bulk"),
    path("evaluate/flags/<str:key>", ofrep.SingleView.as_view(), name="single"),
]
