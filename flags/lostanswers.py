"""Whether a change was saved whose answer got lost: the connection broke at COMMIT, nobody knows on which side of it.

History knows, since its line is written by the same transaction, under the request's id.
"""

import logging
from datetime import datetime
from time import monotonic, sleep

from django.db import Error as DatabaseError

from flags.models import Change
from flags.recording import writing
from tenants import patience

logger = logging.getLogger(__name__)

LOOK_UP_SECONDS = 3.0
SECONDS_BETWEEN_LOOKS = 0.2


def was_saved(request_id: str, since: datetime) -> bool | None:
    """Say whether history has a line of this request, made since then. None while the database cannot say.

    Asks under the writers' lock: a transaction that is still on its way in the server holds it until it is done.
    """
    deadline = monotonic() + LOOK_UP_SECONDS
    while True:
        try:
            with patience.at_most(LOOK_UP_SECONDS), writing("find out whether a change was saved"):
                return Change.objects.filter(request_id=request_id, at__gte=since).exists()
        except DatabaseError as error:
            if monotonic() > deadline:
                logger.warning("outcome of a change unknown error=%s", type(error).__name__)
                return None
        sleep(SECONDS_BETWEEN_LOOKS)
