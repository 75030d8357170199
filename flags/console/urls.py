"""The console: a table. Path, view and name say the same word."""

from django.urls import path

from flags.console import flags, history, inspector, isolation, overrides, switches

app_name = "console"
urlpatterns = [
    # Flags
    path("feature-flags/", flags.flag_list, name="flag_list"),
    path("feature-flags/new/", flags.flag_new, name="flag_new"),
    path("feature-flags/<slug:key>/", flags.flag_detail, name="flag_detail"),
    path("feature-flags/<slug:key>/edit/", flags.flag_edit, name="flag_edit"),
    path("feature-flags/<slug:key>/default/", switches.flag_default, name="flag_default"),
    path("feature-flags/<slug:key>/inherit/", switches.flag_inherit, name="flag_inherit"),
    path("feature-flags/<slug:key>/channels/<slug:channel>/", switches.flag_channel, name="flag_channel"),
    path("feature-flags/<slug:key>/kill/", switches.flag_kill, name="flag_kill"),
    path("feature-flags/<slug:key>/revive/", switches.flag_revive, name="flag_revive"),
    path("feature-flags/<slug:key>/archive/", switches.flag_archive, name="flag_archive"),
    path("feature-flags/<slug:key>/restore/", switches.flag_restore, name="flag_restore"),
    path("feature-flags/<slug:key>/delete/", switches.flag_delete, name="flag_delete"),
    # Overrides
    path("feature-flags/<slug:key>/override/", overrides.flag_override_add, name="flag_override_add"),
    path("feature-flags/<slug:key>/overrides/", overrides.flag_overrides, name="flag_overrides"),
    path("feature-flags/<slug:key>/overrides/<slug:company>/", overrides.flag_override, name="flag_override"),
    path(
        "feature-flags/<slug:key>/overrides/<slug:company>/reset/",
        overrides.flag_override_reset,
        name="flag_override_reset",
    ),
    # Inspector
    path("inspector/", inspector.inspector, name="inspector"),
    path("inspector/isolation/", isolation.isolation, name="isolation"),
    path("inspector/isolation/<uuid:pk>.json", isolation.isolation_report, name="isolation_report"),
    # History
    path("changes/", history.change_list, name="change_list"),
    path("changes.csv", history.change_export, name="change_export"),
    path("changes/<uuid:pk>/revert/", history.change_revert, name="change_revert"),
]
