"""The keys this code base asks about, and how a new database describes them. Pure data.

Other applications list theirs in a module `features.py` of their own: `FEATURES = [Feature(...), ...]`.
A key that is used in code but listed nowhere stops `manage.py check` (flags.E001).
"""

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Feature:
    """One flag as code knows it. Operators may change all but the key later; syncing never undoes that."""

    key: str
    name: str
    description: str
    category: str = "general"
    default_enabled: bool = False
    is_internal: bool = False
    is_killswitch: bool = False
    needs_grant: bool = False
    is_self_service: bool = False
    minimum_plan: str | None = None
    requires: tuple[str, ...] = ()
    # Channels that answer from the start; only `inspector` needs it (seed 001, section 8).
    channels: tuple[tuple[str, bool], ...] = ()


FEATURES = [
    # Seed 002, migration 026: twelve flags, to the letter.
    Feature("billing_enabled", "Billing System", "Subscription and payment management", "billing"),
    Feature("billing_self_service", "Self-Service Billing", "Admins can upgrade/downgrade plans", "billing"),
    Feature("billing_enforcement", "Limit Enforcement", "Enforce operator limits on drivers/vehicles", "billing"),
    Feature("driver_management", "Driver Management", "Manage drivers and applications", "core", True),
    Feature("vehicle_management", "Vehicle Management", "Manage vehicles and assignments", "core", True),
    Feature("credential_management", "Credential Management", "Credential types and submissions", "core", True),
    Feature("broker_management", "Broker Management", "Trip sources and broker assignments", "core", True),
    Feature("trip_management", "Trip Management", "Trip creation and tracking", "operations"),
    Feature("driver_payments", "Driver Payments", "Pay drivers through the platform", "finance"),
    Feature("advanced_reports", "Advanced Reports", "Enhanced analytics and exports", "analytics"),
    Feature("api_access", "API Access", "REST API for external integrations", "integrations"),
    Feature("white_label", "White Label", "Custom branding and domain", "enterprise"),
    # Seed 000: the three baseline flags.
    Feature("advanced_reporting", "Advanced Reporting", "Reports beyond the standard set", "analytics"),
    Feature("driver_chat", "Driver Chat", "Dispatchers and drivers write to each other", "operations"),
    Feature("automated_alerting", "Automated Alerting", "Alerts that are raised without a person", "operations"),
    # Seed 003.
    Feature(
        "multi_workspace_enabled",
        "Multi-Workspace",
        "Enables multi-workspace support allowing users to access multiple agencies/tenants from a single account.",
        "core",
    ),
    # Seed 004: three integration domains; a company switches its own once a super admin has made them self-service.
    Feature(
        "accounting_enabled",
        "Accounting",
        "Send invoices and payments to the accounting system",
        "integrations",
        is_self_service=True,
    ),
    Feature(
        "ai_enabled",
        "AI Assistance",
        "Drafts, summaries and suggestions",
        "integrations",
        is_self_service=True,
        minimum_plan="pro",
    ),
    Feature(
        "document_signing_enabled",
        "Document Signing",
        "Send documents for electronic signature",
        "integrations",
        is_self_service=True,
    ),
    # Seed 001, section 8: on for the internal channel only, and seen by super admins only.
    Feature(
        "inspector",
        "Inspector",
        "Explains any answer and audits tenant isolation",
        "core",
        is_internal=True,
        channels=(("internal", True), ("pilot", False), ("general", False)),
    ),
]

CATEGORIES = ("billing", "core", "operations", "finance", "analytics", "integrations", "enterprise", "general")
"""The categories of seed 002, in the order lists show them. An operator may use others; they come after these."""


def guess(key: str, known: list[str]) -> str | None:
    """Return the known key that was probably meant, or None when nothing is near."""
    near = get_close_matches(key, known, n=1, cutoff=0.6)
    return near[0] if near else None
