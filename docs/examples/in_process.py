"""A job asks for every company, in process.

DJANGO_DEBUG=true python manage.py shell < docs/examples/in_process.py
"""

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from flags.openfeature import HeadgateProvider
from tenants.models import Company
from tenants.rls import acting_as_system

api.set_provider_and_wait(HeadgateProvider())  # Once, in your AppConfig.ready().
client = api.get_client()

with acting_as_system("send the nightly report"):
    companies = list(Company.objects.order_by("slug"))

for company in companies:
    context = EvaluationContext(f"company:{company.pk}")
    found = client.get_boolean_details("advanced_reporting", False, context)
    print(company.slug, found.variant, found.reason, found.flag_metadata["reason"])
