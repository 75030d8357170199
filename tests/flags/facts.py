"""One flag, one company and its people, as facts: for tests of evaluation that need no database."""

from dataclasses import replace

from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, GrantFact, OverrideFact, Subject

ON, OFF = OverrideFact(True), OverrideFact(False)
PARENT = FlagRules("parent", default_enabled=True)
STARTER, PRO, ENTERPRISE = 1, 2, 3

# The bucket of this company is 21 for api_access, and 18 for billing_enabled (md5sum of "key:id").
COMPANY = CompanyFacts("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "pilot", PRO)


def flag(**facts) -> FlagRules:
    return FlagRules("api_access", **facts)


def company(override=None, opt_in=None, grant=None, **facts) -> CompanyFacts:
    """The company, with its own answers for api_access and dan's grant of it."""
    rows = {}
    if override is not None:
        rows["overrides"] = {"api_access": override}
    if opt_in is not None:
        rows["opt_ins"] = {"api_access": opt_in}
    if grant is not None:
        rows["grants"] = {"dan": {"api_access": grant}}
    return replace(COMPANY, **rows, **facts)


def dan(**facts) -> Subject:
    return Subject(company(**facts), "dan")


ALICE = Subject(company(), "alice", is_super_admin=True)
EVE = Subject(company(grant=GrantFact(True)), "eve")  # It is dan's.
NOBODY = Subject()
SWITCHED_ON = {"channels": {"pilot": ChannelAnswer(True)}}
SWITCHED_OFF = {"channels": {"pilot": ChannelAnswer(False)}}


def to(percentage: int) -> dict:
    return {"channels": {"pilot": ChannelAnswer(True, percentage)}}
