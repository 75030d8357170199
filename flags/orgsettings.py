"""A company's settings together with its own choices (seed 004), changed as one. Built from existing verbs."""

from collections.abc import Mapping
from typing import Any

from flags import changes, companies
from flags.recording import Actor, writing
from flags.repeating import verb
from tenants.models import Company


@verb
def change_settings(
    company: Company,
    *,
    actor: Actor,
    settings: Mapping[str, Any],
    choices: Mapping[str, bool | None],
) -> None:
    """Change settings and switch self-service flags, in one transaction: by an admin of the company, or a super admin.

    `settings` are the company's name and those of `companies.edit_settings`; `choices` maps keys to on, off, or None
    for no choice any more. Raises NotAllowed (NOT_SELF_SERVICE) for a flag that is not the company's to switch, and
    what the verbs raise.
    """
    others = {name: value for name, value in settings.items() if name != "name"}
    with writing("change a company's settings"):
        if "name" in settings:
            companies.rename_company(company, settings["name"], actor=actor)
        if others:
            companies.edit_settings(company, actor=actor, **others)
        for key, enabled in choices.items():
            if enabled is None:
                changes.remove_opt_in(company, key, actor=actor)
            else:
                changes.set_opt_in(company, key, enabled, actor=actor)
