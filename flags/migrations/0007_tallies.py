from django.db import migrations, models

from flags import triggers


def uninstall(apps, schema_editor):
    triggers.uninstall_tallies(schema_editor.connection)


class Migration(migrations.Migration):
    """Counts kept by triggers, which come, and count what is there, once all migrations are through."""

    dependencies = [("flags", "0006_audit_details")]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("what", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=63)),
                ("n", models.BigIntegerField()),
            ],
            options={"indexes": [models.Index(models.F("what"), models.F("name"), name="tallies_by_name")]},
        ),
        migrations.RunPython(migrations.RunPython.noop, uninstall),
    ]
