"""Says, once a change is committed, whose answers it may have changed. For those who keep answers outside Headgate."""

from functools import partial

from django.db import DEFAULT_DB_ALIAS, transaction
from django.dispatch import Signal

changed = Signal()
"""Sent after the commit, never after a rollback, with `keys`: the flags that were touched; empty means any of them."""


def announce(*keys: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Send `changed` once this transaction is committed. What listens cannot make the change fail."""
    if changed.has_listeners():
        tell = partial(changed.send_robust, sender=None, keys=frozenset(keys))
        transaction.on_commit(tell, using=using, robust=True)
