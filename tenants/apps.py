from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class TenantsConfig(AppConfig):
    """Who is asking: companies, people, channels, plans, tokens. Knows nothing of flags."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These modules need the models, which exist only from here on.
        from tenants import checks, deployment, guard, roles, sync  # noqa: F401

        connection_created.connect(guard.stand_by, dispatch_uid="tenants.guard")
        # In this order: filling tables needs the right to.
        post_migrate.connect(roles.after_migrate, sender=self, dispatch_uid="tenants.roles")
        post_migrate.connect(sync.after_migrate, sender=self, dispatch_uid="tenants.sync")
