"""What calls and answers look like, for the published schema. A test holds each to the schema it illustrates."""

from typing import Any

COMPANY = "6f9619ff-8b86-4d01-b42d-00c04fc964ff"
MOMENT = "2026-03-01T12:00:00Z"

FLAG: dict[str, Any] = {
    "key": "api_access",
    "name": "API Access",
    "description": "REST API for external integrations",
    "category": "integrations",
    "owner": "Platform",
    "metadata": {},
    "default_enabled": False,
    "default_source": "catalogue",
    "is_internal": False,
    "is_killswitch": False,
    "killed": False,
    "killed_at": None,
    "kill_reason": "",
    "needs_grant": False,
    "minimum_plan": "pro",
    "is_self_service": False,
    "requires": [],
    "channels": {"internal": {"enabled": True, "percentage": 100}, "pilot": {"enabled": True, "percentage": 25}},
    "overrides": {"on": 3, "off": 1},
    "release": {
        "channel": "pilot",
        "since": MOMENT,
        "by": "Ana Ruiz",
        "forced": False,
        "started_at": MOMENT,
        "paused": False,
    },
    "archived_at": None,
    "version": 7,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
OVERRIDE: dict[str, Any] = {
    "company": "globex",
    "company_id": COMPANY,
    "company_name": "Globex",
    "key": "api_access",
    "enabled": True,
    "reason": "contract 881",
    "created_by": "ana@headgate.example",
    "expires_at": "2027-03-03T00:00:00Z",
    "paused": False,
    "version": 1,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
EVALUATION: dict[str, Any] = {
    "key": "api_access",
    "value": True,
    "variant": "on",
    "reason": "TARGETING_MATCH",
    "metadata": {"reason": "override", "flagSetId": "headgate", "category": "integrations"},
}
CONTEXT: dict[str, Any] = {"context": {"targetingKey": "company:globex"}}

REQUESTS: dict[str, Any] = {
    "post_sign_in": {"email": "bob@globex.example", "password": "correct horse battery"},
    "post_refresh": {"refresh": "Zk3…"},
    "post_check": {"keys": ["api_access", "trip_management"]},
    "post_flags": {
        "key": "multi_workspace_enabled",
        "enabled": True,
        "tenantId": COMPANY,
        "description": "Enabled for pilot",
    },
    "patch_flag": {"minimum_plan": "pro", "channels": {"pilot": {"enabled": True, "percentage": 25}}, "reason": "beta"},
    "put_channel": {"enabled": True, "percentage": 25, "reason": "beta"},
    "post_kill": {"reason": "Leaks addresses; incident 77"},
    "post_revive": {"reason": "Fixed in 4.2"},
    "post_promote": {"reason": "A week without a ticket", "tell": True},
    "post_rollback": {"to": "internal", "reason": "Slow since Tuesday; ticket 4711"},
    "post_sign_off": {"note": "No tickets in a week", "link": "https://desk.example/pilot"},
    "post_gates": {"channel": "general", "title": "Legal has agreed"},
    "put_override": {"enabled": True, "reason": "contract 881", "expires_at": "2027-03-03T00:00:00Z"},
    "put_company_overrides": {
        "overrides": [
            {"key": "api_access", "enabled": True, "reason": "contract 881"},
            {"key": "white_label", "enabled": False},
        ]
    },
    "post_companies": {
        "slug": "globex",
        "name": "Globex",
        "channel": "pilot",
        "plan": "pro",
        "admins": [{"email": "bob@globex.example", "name": "Bob"}],
        "overrides": [{"key": "api_access", "enabled": True, "reason": "contract 881"}],
    },
    "patch_company": {"channel": "pilot", "reason": "asked to"},
    "post_members": {"email": "eve@globex.example", "role": "coordinator", "name": "Eve"},
    "put_grant": {"enabled": True, "reason": "premium seat"},
    "post_tokens": {"name": "Dispatch service", "scopes": ["evaluate"], "expires_at": "2027-01-01T00:00:00Z"},
    "patch_org_settings": {"time_zone": "Europe/Berlin", "accounting_enabled": True},
    "put_active_workspace": {"id": "globex"},
    "post_isolation_audit": {"mode": "data", "tenant_id": "globex"},
    "post_single": CONTEXT,
    "post_bulk": CONTEXT,
}
RESPONSES: dict[str, tuple[int, Any]] = {
    "get_features": (200, {"api_access": True, "billing_enabled": False}),
    "get_feature": (200, {"key": "api_access", "enabled": True, "reason": "override"}),
    "post_check": (200, {"api_access": True, "trip_management": False}),
    "get_flag": (200, FLAG),
    "get_flags": (200, {"results": [FLAG], "next": None, "previous": None}),
    "get_override": (200, OVERRIDE),
    "get_flag_overrides": (200, {"results": [OVERRIDE], "next": None, "previous": None}),
    "get_overrides_file": (200, "company,flag,enabled,reason,expires_at\r\nglobex,api_access,true,contract 881,\r\n"),
    "post_single": (200, EVALUATION),
    "post_bulk": (200, {"flags": [EVALUATION], "metadata": {"flagSetId": "headgate"}}),
}
