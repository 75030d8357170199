import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Two indexes go that others begin with as well: less to write, and no wrong choice between them."""

    dependencies = [("flags", "0011_batches"), ("tenants", "0002_roles")]

    operations = [
        migrations.AlterField(
            model_name="override",
            name="company",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="tenants.company",
            ),
        ),
        migrations.AlterField(
            model_name="override",
            name="flag",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="overrides",
                to="flags.flag",
            ),
        ),
    ]
