from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Who is asking: companies, people, channels, plans, tokens. Knows nothing of flags."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing a module of checks registers them; there is nothing to call.
        from tenants import checks  # noqa: F401, PLC0415
