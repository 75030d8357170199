"""The map of the API. No address ends in a slash, and none redirects."""

from django.urls import path

from flags.api import (
    auth,
    changes,
    docs,
    features,
    flags,
    isolation,
    members,
    overrides,
    releases,
    settings,
    tenants,
    tokens,
    workspaces,
)

app_name = "api"

urlpatterns = [
    # What the caller may use
    path("features", features.FeaturesView.as_view(), name="features"),
    path("features/check", features.CheckView.as_view(), name="check"),
    path("features/<str:key>", features.FeatureView.as_view(), name="feature"),
    # What all this is
    path("schema", docs.SchemaView.as_view(), name="schema"),
    path("docs/", docs.DocsView.as_view(), name="docs"),
    # Signing in
    path("auth/token", auth.TokenView.as_view(), name="sign_in"),
    path("auth/token/refresh", auth.RefreshView.as_view(), name="refresh"),
    path("auth/logout", auth.SignOutView.as_view(), name="sign_out"),
    # Where the caller is
    path("workspaces", workspaces.WorkspacesView.as_view(), name="workspaces"),
    path("workspaces/active", workspaces.ActiveWorkspaceView.as_view(), name="active_workspace"),
    path("org-settings", settings.OrgSettingsView.as_view(), name="org_settings"),
    path("integrations", settings.IntegrationsView.as_view(), name="integrations"),
    path("integrations/<str:domain>", settings.IntegrationView.as_view(), name="integration"),
    # Flags
    path("admin/feature-flags", flags.FlagsView.as_view(), name="flags"),
    path("admin/feature-flags/<str:key>", flags.FlagView.as_view(), name="flag"),
    path("admin/feature-flags/<str:key>/channels/<str:channel>", flags.ChannelView.as_view(), name="channel"),
    path("admin/feature-flags/<str:key>/kill", flags.KillView.as_view(), name="kill"),
    path("admin/feature-flags/<str:key>/revive", flags.ReviveView.as_view(), name="revive"),
    path("admin/feature-flags/<str:key>/overrides", overrides.FlagOverridesView.as_view(), name="flag_overrides"),
    path("admin/feature-flags/<str:key>/archive", releases.ArchiveView.as_view(), name="archive"),
    path("admin/feature-flags/<str:key>/restore", releases.RestoreView.as_view(), name="restore"),
    # Releases
    path("admin/releases", releases.ReleasesView.as_view(), name="releases"),
    path("admin/feature-flags/<str:key>/promote", releases.PromoteView.as_view(), name="promote"),
    path("admin/feature-flags/<str:key>/rollback", releases.RollbackView.as_view(), name="rollback"),
    path("admin/feature-flags/<str:key>/release", releases.ReleaseView.as_view(), name="release"),
    path("admin/feature-flags/<str:key>/release/pause", releases.PauseView.as_view(), name="pause"),
    path("admin/feature-flags/<str:key>/release/resume", releases.ResumeView.as_view(), name="resume"),
    path("admin/feature-flags/<str:key>/release/finish", releases.FinishView.as_view(), name="finish"),
    path("admin/feature-flags/<str:key>/gates/<uuid:gate>/sign-off", releases.SignOffView.as_view(), name="sign_off"),
    path("admin/gates", releases.GatesView.as_view(), name="gates"),
    path("admin/gates/<uuid:gate>", releases.GateView.as_view(), name="gate"),
    path("admin/batches/<uuid:batch>/undo", releases.UndoView.as_view(), name="undo_batch"),
    path("admin/overrides.csv", overrides.OverridesFileView.as_view(), name="overrides_file"),
    # Companies
    path("admin/tenants", tenants.CompaniesView.as_view(), name="companies"),
    path("admin/tenants/<str:tenant>", tenants.CompanyDetailView.as_view(), name="company"),
    path("admin/tenants/<str:tenant>/features", tenants.CompanyFeaturesView.as_view(), name="company_features"),
    path("admin/tenants/<str:tenant>/overrides", overrides.CompanyOverridesView.as_view(), name="company_overrides"),
    path("admin/tenants/<str:tenant>/overrides/<str:key>", overrides.OverrideView.as_view(), name="override"),
    path("admin/tenants/<str:tenant>/members", members.MembersView.as_view(), name="members"),
    path("admin/tenants/<str:tenant>/members/<uuid:user>", members.MemberView.as_view(), name="member"),
    path("admin/tenants/<str:tenant>/grants/<str:key>/<uuid:user>", members.GrantView.as_view(), name="grant"),
    path(
        "admin/tenants/<str:tenant>/enable-multi-workspace",
        tenants.EnableMultiWorkspaceView.as_view(),
        name="enable_multi_workspace",
    ),
    path(
        "admin/tenants/<str:tenant>/disable-multi-workspace",
        tenants.DisableMultiWorkspaceView.as_view(),
        name="disable_multi_workspace",
    ),
    # Tokens and history
    path("admin/tokens", tokens.TokensView.as_view(), name="tokens"),
    path("admin/tokens/<uuid:token>", tokens.TokenView.as_view(), name="token"),
    path("admin/tenant-isolation-audit", isolation.AuditView.as_view(), name="isolation_audit"),
    path("admin/changes", changes.ChangesView.as_view(), name="changes"),
]
