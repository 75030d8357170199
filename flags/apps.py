from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class FlagsConfig(AppConfig):
    """What is on, for whom, and why."""

    name = "flags"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These modules need the models, which exist only from here on.
        from flags import (  # noqa: F401
            checks,
            features,
            gatetemplates,
            policies,
            signals,
            sqlanswers,
            sync,
            triggers,
            versions,
            watching,
        )
        from tenants.known import ask_versions
        from tenants.workspaces import ask_whether_allowed

        signals.connect()
        connection_created.connect(sqlanswers.teach_sqlite, dispatch_uid="flags.sqlanswers")
        policies.watch()
        if settings.FLAGS_FRESHNESS == "streamed":
            watching.begin()
        # Tenants never ask flags; they let themselves be told.
        ask_whether_allowed(lambda user, home: features.features_for(user, home)["multi_workspace_enabled"])
        ask_versions(versions.with_tokens)
        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="flags.triggers")
        post_migrate.connect(policies.after_migrate, sender=self, dispatch_uid="flags.policies")
        post_migrate.connect(gatetemplates.after_migrate, sender=self, dispatch_uid="flags.gatetemplates")
        post_migrate.connect(sync.after_migrate, sender=self, dispatch_uid="flags.sync")
