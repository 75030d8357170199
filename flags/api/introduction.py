"""What stands above the calls in the published description: the questions a newcomer asks first."""

TEXT = """
Release control for multi-tenant Django: which company has which feature, and why.

**How do I say who I am?** `Authorization: Bearer …` with an API token (`hg_…`), or with the access token that
`POST /api/auth/token` gives a person. Press *Authorize*. A browser that is signed in may just call.

**What may I use?** `GET /api/features` is a flat object of booleans. `GET /api/features/{key}` says why.

**For which company?** People and bound tokens have theirs. A server key names it: `?company=<UUID or slug>`.

**How do I switch something on?** `POST /api/admin/feature-flags` with `{"key", "enabled"}` for everybody, and with
`tenantId` for one company. Everything else about a flag is `PATCH`.

**What would that do?** Add `?dry_run=1` to any write: it answers for which companies what goes on or off, and writes
nothing.

**May I repeat a call that got lost?** Yes: `PUT` and `DELETE` anyway, `POST` with an `Idempotency-Key`.

**What if somebody else was faster?** Send the `ETag` you saw as `If-Match`, or `version`. A lost race is 412 or 409,
with both values.

**How do I read a long list?** Follow `next` until it is null.

**How do I read a refusal?** It is `application/problem+json`: `code` is stable and for programs, `detail` is for
people, `errors` names bad fields, `request_id` is for whoever runs this.

**How do I poll cheaply?** Send the `ETag` back as `If-None-Match`; 304 means that no answer has changed.

**Is there a client for my language?** Any OpenFeature SDK with an OFREP provider, pointed at this host.
""".strip()

TAGS = [
    {"name": "Evaluation", "description": "What the caller may use."},
    {"name": "OpenFeature", "description": "The same for OpenFeature's clients (OFREP 0.3)."},
    {"name": "Signing in", "description": "Tokens for people."},
    {"name": "Own company", "description": "Settings, integrations and workspaces of the caller."},
    {"name": "Flags", "description": "Flags, their defaults, channels and kill switch."},
    {"name": "Releases", "description": "From channel to channel, through gates."},
    {"name": "Overrides", "description": "What single companies have instead."},
    {"name": "Companies", "description": "Companies and what they have."},
    {"name": "People", "description": "Who belongs to a company, and what single ones were granted."},
    {"name": "Isolation", "description": "Proof that companies are kept apart."},
    {"name": "Tokens", "description": "Keys for programs."},
    {"name": "History", "description": "Who did what, and why."},
]
