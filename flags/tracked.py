"""What is tracked: the scopes that have a version, the tables whose changes bump one, and how that is told."""

GLOBAL_SCOPE = "00000000-0000-0000-0000-000000000000"
# API tokens, and what is known of the companies they are bound to.
TOKENS_SCOPE = "00000000-0000-0000-0000-000000000001"

# Set on PostgreSQL for the rest of a transaction that has changed what answers rest on.
CHANGED_SETTING = "app.flags_changed"
# Whoever listens on it is woken when such a transaction is committed: once, since equal notifications become one.
NOTIFY_CHANNEL = "flags_changed"

GLOBAL_TABLES = ("flags_flag", "flags_requirement", "flags_channeldefault", "tenants_releasechannel", "tenants_plan")
# Not when it was last used: that is written all the time, and changes nothing.
TOKEN_COLUMNS = "id, name, kind, public_id, digest, company_id, scopes, expires_at, revoked_at"  # noqa: S105
COMPANY_COLUMNS = "id, slug, name, channel_id, plan_id, is_active"
COMPANY_TABLES = ("flags_override", "flags_optin", "flags_grant", "tenants_membership")
