from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from tenants.later import later

CHECKS = {
    "flags.checks.check_used_keys": (Tags.urls,),
    "flags.checks.check_catalogues": (),
    "flags.checks.check_middleware": (Tags.security,),
    "flags.checks.check_triggers": (Tags.database,),
    "flags.checks.check_isolation": (Tags.database,),
    "flags.checks.check_caches": (Tags.caches,),
}
# In this order: each rests on those before.
AFTER_MIGRATE = (
    "flags.triggers.after_migrate",
    "flags.policies.after_migrate",
    "flags.gatetemplates.after_migrate",
    "flags.sync.after_migrate",
)


class FlagsConfig(AppConfig):
    """What is on, for whom, and why."""

    name = "flags"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These modules need the models, which exist only from here on.
        from flags import features, policies, signals, sqlanswers, versions
        from tenants import told

        signals.connect()
        connection_created.connect(sqlanswers.teach_sqlite, dispatch_uid="flags.sqlanswers")
        policies.watch()
        if settings.FLAGS_FRESHNESS == "streamed":
            from flags import watching

            watching.begin()
        # Tenants never ask flags; they let themselves be told.
        told.ask_whether_allowed(lambda user, home: features.features_for(user, home)["multi_workspace_enabled"])
        told.ask_versions(versions.with_tokens)
        for check, tags in CHECKS.items():
            register(later(check), *tags)
        for receiver in AFTER_MIGRATE:
            post_migrate.connect(later(receiver), sender=self, dispatch_uid=receiver, weak=False)
