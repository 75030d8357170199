from django.db import migrations, models

from tenants import trigrams


def uninstall(apps, schema_editor):
    trigrams.uninstall(schema_editor.connection)


class Migration(migrations.Migration):
    """What searches for companies read. The triggers that keep it come, and fill it, once all migrations are through."""

    dependencies = [("tenants", "0002_roles")]

    operations = [
        migrations.CreateModel(
            name="NameTrigram",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "company_id", "trigram", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "company",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="trigrams",
                        to="tenants.company",
                    ),
                ),
                ("trigram", models.CharField(max_length=3)),
                ("name", models.CharField(max_length=120)),
                ("text", models.TextField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("trigram"),
                        models.F("name"),
                        models.F("company"),
                        models.F("text"),
                        name="companies_by_trigram",
                    )
                ],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, uninstall),
    ]
