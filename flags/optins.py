"""What a company chooses for itself, where a flag is self-service (rule 8, seed 004). `changes` is its door."""

from flags.exceptions import NotAllowed
from flags.models import OptIn
from flags.recording import Actor, actor_user, authorise, clean_text, locked_flag, record, writing
from flags.repeating import verb
from tenants.models import Company, Membership, Role, User

WRITE = "tenants:write"


@verb
def set_opt_in(company: Company, key: str, enabled: bool, *, actor: Actor, reason: str = "") -> OptIn:
    """Let a company choose a self-service flag itself (rule 8, seed 004): by one of its admins, or a super admin."""
    _authorise_choice(actor, company)
    reason = clean_text(reason, "reason", longest=500)
    with writing("record a company's own choice"):
        flag = locked_flag(key)
        if not flag.is_self_service:
            raise NotAllowed(f"{flag.name} is not yours to switch. Ask your provider.", code="NOT_SELF_SERVICE")
        choice = OptIn.objects.filter(company=company, flag=flag).first()
        before = {} if choice is None else {"enabled": choice.enabled}
        after = {"enabled": enabled}
        choice = choice or OptIn(company=company, flag=flag)
        if before != after:
            choice.enabled, choice.created_by = enabled, actor_user(actor)
            choice.save()
            record("set_opt_in", actor=actor, flag=flag, company=company, before=before, after=after, reason=reason)
    return choice


@verb
def remove_opt_in(company: Company, key: str, *, actor: Actor, reason: str = "") -> bool:
    """Take a company's own choice back. Returns whether there was one."""
    _authorise_choice(actor, company)
    with writing("withdraw a company's own choice"):
        flag = locked_flag(key)
        choice = OptIn.objects.filter(company=company, flag=flag).first()
        if choice is None:
            return False
        before = {"enabled": choice.enabled}
        choice.delete()
        record("remove_opt_in", actor=actor, flag=flag, company=company, before=before, after={}, reason=reason)
    return True


def _authorise_choice(actor: Actor, company: Company) -> None:
    if isinstance(actor, User) and not actor.is_superuser:
        is_admin = Membership.objects.filter(user=actor, company=company, role=Role.ADMIN, company__is_active=True)
        if not (actor.is_active and is_admin.exists()):
            raise NotAllowed("Only an admin of the company may choose this.")
        return
    authorise(actor, WRITE, company)
