"""Ways to ask that tests share."""

import asyncio

from asgiref.sync import sync_to_async
from django.db import connections
from openfeature.evaluation_context import EvaluationContext


def about(company=None, targeting_key=None, **attributes) -> EvaluationContext:
    """Return a context that names a company, a person, and what else there is to say."""
    named = {} if company is None else {"companyId": company}
    return EvaluationContext(targeting_key, {**named, **attributes})


def answers(found) -> tuple:
    """Return what a client said: value, variant, OpenFeature's reason and ours."""
    return found.value, found.variant, str(found.reason), found.flag_metadata.get("reason")


def run(work):
    """Run a coroutine, and close the connections that its helper threads have opened."""

    async def and_tidy_up():
        try:
            return await work
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(and_tidy_up())
