from django.db import migrations

from tenants import roles


def create(apps, schema_editor):
    # Where the login may not, migrating goes on: tenants.E002 says what to run.
    if schema_editor.connection.vendor == "postgresql":
        roles.create(schema_editor.connection)


class Migration(migrations.Migration):
    """The roles that row-level security applies to. They stay on the way back: other databases may use them."""

    dependencies = [("tenants", "0001_initial")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop, elidable=False)]
