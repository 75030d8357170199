"""Whether a policy or a trigger is still what we made it: the database keeps another text than the one it was given.

The mark is the comment of the thing: a digest of our text, and one of what the database made of it. Who puts things in
their places leaves alone what bears the right mark: everybody else would wait for the lock on its table.
"""

from hashlib import sha256
from typing import Any

LOCK_TIMEOUT = "5s"


def mark(ours: str, made_of_it: str) -> str:
    """Return the mark of what was made by `ours` and stands in the catalogue as `made_of_it`."""
    return " ".join(sha256(text.encode()).hexdigest()[:16] for text in (ours, made_of_it))


def wait_briefly(cursor: Any) -> None:
    """Let the rest of this transaction wait five seconds for a lock, unless the login or its database says otherwise.

    Whoever comes for the same table queues behind us meanwhile.
    """
    cursor.execute(
        "select set_config('lock_timeout', %s, true) where current_setting('lock_timeout') = '0'", [LOCK_TIMEOUT]
    )
