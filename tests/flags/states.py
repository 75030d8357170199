"""Random states of the world, for the properties that hold in all of them."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, GrantFact, OverrideFact, Subject

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = ("alpha", "beta", "gamma", "delta", "epsilon")
USERS = ("user-1", "user-2")
CHANNELS = ("internal", "pilot", "general")

# Ends lie before, at and after AT: the end itself does not count any more.
ends = st.none() | st.sampled_from([AT + timedelta(minutes=minutes) for minutes in (-60, -1, 0, 1, 60)])
overrides = st.builds(OverrideFact, st.booleans(), ends, st.booleans())
grants = st.builds(GrantFact, st.booleans(), ends)
channel_answers = st.builds(ChannelAnswer, st.booleans(), st.sampled_from([0, 1, 50, 99, 100]))
company_ids = st.uuids().map(str)
maybe = st.sampled_from([False, False, False, True])


def flags(key: str):
    """Rules of one flag. What it requires may be missing, or itself in the end."""
    return st.builds(
        FlagRules,
        key=st.just(key),
        default_enabled=st.booleans(),
        is_killswitch=maybe,
        killed=maybe,
        archived=maybe,
        needs_grant=st.booleans(),
        minimum_plan=st.none() | st.integers(1, 3),
        is_self_service=st.booleans(),
        is_internal=st.booleans(),
        requires=st.lists(st.sampled_from([*KEYS, "missing"]), max_size=2, unique=True).map(
            lambda keys: tuple(name for name in sorted(keys) if name != key)
        ),
        channels=st.dictionaries(st.sampled_from(CHANNELS), channel_answers),
    )


rulesets = st.fixed_dictionaries({key: flags(key) for key in KEYS})
companies = st.builds(
    CompanyFacts,
    id=company_ids,
    channel=st.sampled_from(CHANNELS),
    plan=st.integers(1, 3),
    # Rows of a flag that is gone are there for a moment, when a company was read before its rules.
    overrides=st.dictionaries(st.sampled_from([*KEYS, "gone"]), overrides),
    opt_ins=st.dictionaries(st.sampled_from([*KEYS, "gone"]), st.booleans()),
    grants=st.dictionaries(
        st.sampled_from(USERS), st.dictionaries(st.sampled_from([*KEYS, "gone"]), grants), max_size=2
    ),
)
users = st.none() | st.sampled_from([*USERS, "stranger"])
subjects = st.builds(Subject, st.none() | companies, users, maybe)
keys = st.sampled_from(KEYS)
