from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from tenants.later import later

CHECKS = {
    "tenants.checks.middleware_is_in_place": Tags.security,
    "tenants.checks.database_keeps_companies_apart": Tags.database,
}
DEPLOYMENT_CHECKS = {
    "tenants.deployment.debug_is_for_this_machine": Tags.security,
    "tenants.deployment.keys_are_secret": Tags.security,
    "tenants.deployment.hosts_are_named": Tags.security,
}
# In this order: filling tables needs the right to.
AFTER_MIGRATE = ("tenants.roles.after_migrate", "tenants.sync.after_migrate", "tenants.trigrams.after_migrate")


class TenantsConfig(AppConfig):
    """Who is asking: companies, people, channels, plans, tokens. Knows nothing of flags."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # It needs the models, which exist only from here on.
        from tenants import guard

        connection_created.connect(guard.stand_by, dispatch_uid="tenants.guard")
        for check, tag in CHECKS.items():
            register(later(check), tag)
        for check, tag in DEPLOYMENT_CHECKS.items():
            register(later(check), tag, deploy=True)
        for receiver in AFTER_MIGRATE:
            post_migrate.connect(later(receiver), sender=self, dispatch_uid=receiver, weak=False)
