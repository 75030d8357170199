"""Calls that are answered once: a client that never saw the answer may repeat its call and gets the same one.

The answer is kept in the transaction of the change itself, so that there is both or neither; refusals changed nothing
and are not kept. After the IETF's draft on the Idempotency-Key header.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flags.callmodels import AnsweredCall
from flags.exceptions import ChangeRefused
from flags.recording import writing
from flags.repeating import verb
from tenants.rls import acting_as_system

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered: `body` is JSON. `replayed` says that it was answered before."""

    status: int
    headers: dict[str, str]
    body: Any
    replayed: bool = False


@verb
def answer_once(
    caller: str,
    key: str,
    fingerprint: str,
    act: Callable[[], Answer],
    forget: Callable[[Answer], Answer] = lambda answer: answer,
) -> Answer:
    """Return what `act` answers, or what it answered under this key within a day. Raises what `act` raises.

    `forget` returns what may be kept of an answer. A second call waits until the first is done. Raises ChangeRefused
    (422) where the key was another call's. After a deadlock, whatever `act` did is undone and it is asked once more.
    """
    with transaction.atomic():
        # The writers' lock outlasts this block: it ends with the transaction.
        with writing("look for an answer given before"):
            AnsweredCall.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()
            known = AnsweredCall.objects.filter(caller=caller, key=key).first()
        if known is not None:
            if known.fingerprint != fingerprint:
                raise _Reused
            return Answer(known.status, known.headers, known.body, replayed=True)
        answer = act()
        kept = forget(answer)
        with acting_as_system("keep an answer"):
            AnsweredCall.objects.create(
                caller=caller,
                key=key,
                fingerprint=fingerprint,
                status=kept.status,
                headers=kept.headers,
                body=kept.body,
            )
    return answer


class _Reused(ChangeRefused):
    status = 422
    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was another call's. Choose a new one for each new call.")
