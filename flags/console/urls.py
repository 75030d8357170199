"""The console: a table. Path, view and name say the same word."""

from django.urls import path

from flags.console import (
    bulk,
    channelcompanies,
    companies,
    features,
    flaggrants,
    flags,
    gatetemplates,
    grants,
    history,
    historyfiles,
    inspector,
    isolation,
    overrides,
    overview,
    palette,
    people,
    persons,
    releasedrawers,
    releases,
    savedviews,
    searching,
    style,
    switches,
    tokens,
    viewing,
)

app_name = "console"
urlpatterns = [
    path("", overview.overview, name="overview"),
    # Searching
    path("find/", palette.palette, name="palette"),
    path("completion/", searching.completion, name="completion"),
    path("views/", savedviews.view_save, name="view_save"),
    path("views/<uuid:pk>/rename/", savedviews.view_rename, name="view_rename"),
    path("views/<uuid:pk>/delete/", savedviews.view_delete, name="view_delete"),
    path("density/", savedviews.density, name="density"),
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
    # Grants of a flag
    path("feature-flags/<slug:key>/grants/", flaggrants.flag_grants, name="flag_grants"),
    path("feature-flags/<slug:key>/grants/add/", flaggrants.flag_grant_add, name="flag_grant_add"),
    # Releases
    path("releases/", releases.release_board, name="release_board"),
    path("releases/gates/", gatetemplates.gate_list, name="gate_list"),
    path("releases/gates/<uuid:pk>/", gatetemplates.gate_edit, name="gate_edit"),
    path("releases/gates/<uuid:pk>/move/", gatetemplates.gate_move, name="gate_move"),
    path("releases/gates/<uuid:pk>/remove/", gatetemplates.gate_remove, name="gate_remove"),
    path("releases/start/", releases.release_pick, name="release_pick"),
    path("feature-flags/<slug:key>/release/start/", releasedrawers.release_start, name="release_start"),
    path("feature-flags/<slug:key>/release/promote/", releasedrawers.release_promote, name="release_promote"),
    path("feature-flags/<slug:key>/release/roll-back/", releasedrawers.release_roll_back, name="release_roll_back"),
    path("feature-flags/<slug:key>/release/pause/", releasedrawers.release_pause, name="release_pause"),
    path("feature-flags/<slug:key>/release/resume/", releasedrawers.release_resume, name="release_resume"),
    path("feature-flags/<slug:key>/release/finish/", releasedrawers.release_finish, name="release_finish"),
    path("feature-flags/<slug:key>/release/gates/<uuid:gate>/", releasedrawers.gate_sign_off, name="gate_sign_off"),
    path("feature-flags/<slug:key>/companies/", channelcompanies.flag_companies, name="flag_companies"),
    path("feature-flags/<slug:key>/companies/roll-back/", releasedrawers.company_roll_back, name="company_roll_back"),
    # Inspector
    path("inspector/", inspector.inspector, name="inspector"),
    path("inspector/isolation/", isolation.isolation, name="isolation"),
    path("inspector/isolation/<uuid:pk>.json", isolation.isolation_report, name="isolation_report"),
    # Companies
    path("companies/", companies.company_list, name="company_list"),
    path("companies/new/", companies.company_new, name="company_new"),
    path("companies/<slug:slug>/", companies.company_detail, name="company_detail"),
    path("companies/<slug:slug>/edit/", companies.company_edit, name="company_edit"),
    path("companies/<slug:slug>/activate/", companies.company_activity, {"active": True}, name="company_activate"),
    path("companies/<slug:slug>/deactivate/", companies.company_activity, {"active": False}, name="company_deactivate"),
    path("companies/<slug:slug>/changes/", companies.company_changes, name="company_changes"),
    path("companies/<slug:slug>/view-as/", viewing.view_as, name="view_as"),
    path("viewing-as/stop/", viewing.view_as_stop, name="view_as_stop"),
    # Many companies at once
    path("bulk/companies/", bulk.bulk_companies, name="bulk_companies"),
    path("batches/<uuid:pk>/", bulk.batch, name="batch"),
    path("batches/<uuid:pk>/stop/", bulk.batch_stop, name="batch_stop"),
    # A company's features
    path("companies/<slug:slug>/features/", features.company_features, name="company_features"),
    path("companies/<slug:slug>/features/<slug:key>/", features.company_override, name="company_override"),
    path(
        "companies/<slug:slug>/features/<slug:key>/reset/",
        features.company_override_reset,
        name="company_override_reset",
    ),
    path(
        "companies/<slug:slug>/features/<slug:key>/pause/",
        features.company_override_pause,
        name="company_override_pause",
    ),
    # A company's people
    path("companies/<slug:slug>/members/", people.company_members, name="company_members"),
    path("companies/<slug:slug>/members/<uuid:user>/role/", people.member_role, name="member_role"),
    path("companies/<slug:slug>/members/<uuid:user>/invite/", people.member_invite, name="member_invite"),
    path("companies/<slug:slug>/members/<uuid:user>/remove/", people.member_remove, name="member_remove"),
    path("companies/<slug:slug>/members/<uuid:user>/grants/", grants.member_grants, name="member_grants"),
    path(
        "companies/<slug:slug>/members/<uuid:user>/grants/<slug:key>/revoke/",
        grants.member_revoke,
        name="member_revoke",
    ),
    path("companies/<slug:slug>/grants/<slug:key>/", grants.company_grant, name="company_grant"),
    path("people/<uuid:user>/", persons.person_detail, name="person_detail"),
    # Tokens
    path("tokens/", tokens.token_list, name="token_list"),
    path("tokens/new/", tokens.token_new, name="token_new"),
    path("tokens/<uuid:pk>/revoke/", tokens.token_revoke, name="token_revoke"),
    # For people who build pages
    path("style/", style.style, name="style"),
    # History
    path("changes/", history.change_list, name="change_list"),
    path("changes.csv", historyfiles.change_csv, name="change_csv"),
    path("changes.json", historyfiles.change_json, name="change_json"),
    path("changes/<uuid:pk>/revert/", history.change_revert, name="change_revert"),
]
