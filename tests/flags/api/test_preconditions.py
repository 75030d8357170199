"""Who loses a race is told by what they said they had seen."""

from types import SimpleNamespace

import pytest

from flags.api.preconditions import lost_races
from flags.exceptions import Conflict


@pytest.mark.parametrize(
    ("headers", "status"), [({"If-Match": '"1"'}, 412), ({"If-Match": '"2"'}, 409), ({"If-Match": "*"}, 409), ({}, 409)]
)
def test_a_race_that_is_lost_after_the_look_is_412_where_if_match_failed(headers, status):
    """Version 1 was there when it was looked at, and 2 once the lock was held."""
    with pytest.raises(Conflict) as refused, lost_races(SimpleNamespace(headers=headers), 1):
        raise Conflict("Somebody was faster.", version=2)
    assert refused.value.status == status
