"""What a company is told of changes that were made for everybody: a feature that comes to it, goes, or is held back.

As far as it can be known from here that the change moved its own answer: by its present channel, plan and settings.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import Q, QuerySet

from flags.companyfeatures import Basis, basis_of
from flags.evaluation import CompanyFacts, Reason, bucket, evaluate_for_company
from flags.models import Change, Flag, Override
from tenants.models import Company, ReleaseChannel

Words = tuple[str, str, str]
"""A sentence with places for names, its tone, and its icon."""

INTO_A_CHANNEL = ("start_release", "promote", "force_promote")
BY_DEFAULT = ("set_default", "inherit_default", "sync_default")
LIFE: Mapping[str, Words] = {
    "kill": ("{flag} is temporarily unavailable", "off", "pause"),
    "revive": ("The trouble with {flag} is over", "info", "undo"),
}
COMES: Words = ("{flag} is now available to you", "on", "check")
GOES: Words = ("{flag} is no longer available to you", "off", "minus")


def changes_for_all(company: Company) -> QuerySet[Change]:
    """Return the lines of history that may have moved a company's answers without naming it, as its channel is now.

    None about a flag it may not know of.
    """
    known = Flag.objects.filter(is_internal=False).order_by().values("key")
    channel = company.channel_id
    of_its_channel = Q(verb__in=(*INTO_A_CHANNEL, "set_channel"), after__channel=channel)
    of_its_channel |= Q(verb="remove_channel", before__channel=channel)
    concerning = of_its_channel | Q(verb__in=("roll_back", *BY_DEFAULT, *LIFE))
    return Change.objects.filter(concerning, company_id=None, flag__in=known)


def told(company: Company, changes: Iterable[Change]) -> dict[UUID, Words]:
    """Return what to tell a company of these lines, by their ids; nothing of one that moved no answer of its.

    Three queries at most, however many lines.
    """
    found = list(changes)
    basis = basis_of(company) if found else None
    if basis is None or basis.facts is None:
        return {}
    own = Override.objects.filter(company=company, flag__in={change.flag for change in found}).order_by()
    overridden = dict(own.values_list("flag_id", "updated_at"))
    ranks = dict(ReleaseChannel.objects.values_list("slug", "rank"))
    words = {}
    for change in found:
        said = LIFE.get(change.verb)
        if said is None:
            since = overridden.get(change.flag)
            is_its_own = change.flag in basis.facts.opt_ins or (since is not None and since <= change.at)
            said = None if is_its_own else _moved(change, basis, basis.facts, ranks)
        if said is not None:
            words[change.pk] = said
    return words


def _moved(change: Change, basis: Basis, facts: CompanyFacts, ranks: Mapping[str, int]) -> Words | None:
    flag = basis.rules.get(change.flag)
    if flag is None:
        return None
    answer = flag.channels.get(facts.channel)
    share = 100 if answer is None else answer.percentage
    before, after = change.before, change.after

    def reaches(percentage: int) -> bool:
        return bucket(flag.key, facts.id) < percentage

    if change.verb in INTO_A_CHANNEL:
        was, becomes = False, reaches(after.get("percentage", 100))
    elif change.verb == "roll_back":
        own, back = ranks.get(facts.channel, -1), ranks.get(after.get("channel", ""), -1)
        was, becomes = back < own <= ranks.get(before.get("channel", ""), -1), False
    elif change.verb in BY_DEFAULT:
        # Where the channel speaks, the default does not.
        was = becomes = flag.default_enabled
        if answer is None:
            was, becomes = bool(before.get("default_enabled")), bool(after.get("default_enabled"))
    else:
        is_on = [
            said["enabled"] and reaches(said.get("percentage", share)) if "enabled" in said else None
            for said in (before, after)
        ]
        becomes = flag.default_enabled if is_on[1] is None else is_on[1]
        # What the default was then is not known: that it has come is said rather once too often.
        was = (flag.default_enabled and not becomes) if is_on[0] is None else is_on[0]
    if was == becomes:
        return None
    decision = evaluate_for_company(basis.rules, flag.key, facts, basis.at)
    if becomes and decision.reason in (Reason.PLAN, Reason.PREREQUISITE):
        return None
    return COMES if becomes else GOES
