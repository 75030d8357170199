from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flags", "0013_expiry_with_flag_and_company")]

    operations = [
        migrations.RenameField("batch", "companies", "subjects"),
        migrations.AddField(
            "batch",
            "of",
            models.CharField(
                choices=[
                    ("companies", "companies"),
                    ("people", "people"),
                    ("flags", "flags"),
                    ("lines", "changes"),
                ],
                default="companies",
                max_length=20,
            ),
        ),
        migrations.AddField("batch", "name", models.CharField(blank=True, max_length=300)),
        migrations.AddField("batch", "channel", models.CharField(blank=True, max_length=63)),
        migrations.AddField("batch", "percentage", models.PositiveSmallIntegerField(default=100)),
        migrations.AddField("batch", "company", models.UUIDField(null=True)),
        migrations.AddField("batch", "undoes", models.UUIDField(null=True)),
        migrations.AlterField("batch", "flag", models.CharField(blank=True, max_length=63)),
        migrations.AlterField(
            "batch",
            "deed",
            models.CharField(
                choices=[
                    ("turn_on", "Turn on by override"),
                    ("turn_off", "Turn off by override"),
                    ("reset", "Reset: take overrides away"),
                    ("move", "Move to a channel"),
                    ("grant", "Grant"),
                    ("deny", "Deny"),
                    ("channel_on", "On in a channel"),
                    ("channel_off", "Off in a channel"),
                    ("undo", "Take back"),
                ],
                max_length=20,
            ),
        ),
    ]
