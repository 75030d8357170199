"""A service in Python asks over HTTP.

pip install openfeature-provider-ofrep
HEADGATE_URL=http://127.0.0.1:8000 HEADGATE_KEY=… COMPANY=acme python docs/examples/over_ofrep.py
"""

import os

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

headers = {"Authorization": f"Bearer {os.environ['HEADGATE_KEY']}"}
api.set_provider_and_wait(OFREPProvider(os.environ["HEADGATE_URL"], headers_factory=lambda: headers))

context = EvaluationContext("report-service", {"companyId": os.environ["COMPANY"]})
found = api.get_client().get_boolean_details("advanced_reporting", False, context)
print(found.value, found.variant, found.reason, found.flag_metadata.get("reason"), found.error_code)
