"""The pages of company people: a table. Path, view and name say the same word."""

from django.urls import path

from flags.company import billing, features, integrations, news

app_name = "company"
urlpatterns = [
    path("features/", features.feature_list, name="feature_list"),
    path("features/changes/", news.change_list, name="change_list"),
    path("integrations/", integrations.integration_list, name="integrations"),
    path("integrations/<slug:domain>/", integrations.integration_detail, name="integration"),
    path("billing/", billing.billing, name="billing"),
]
