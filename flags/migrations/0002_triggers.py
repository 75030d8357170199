from django.db import migrations

from flags import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


def uninstall(apps, schema_editor):
    triggers.uninstall(schema_editor.connection)


class Migration(migrations.Migration):
    """Version bumps, append-only history, keys never reused. Reinstalled after every migrate (flags.triggers)."""

    dependencies = [("flags", "0001_initial")]

    operations = [migrations.RunPython(install, uninstall)]
