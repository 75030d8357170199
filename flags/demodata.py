"""Who and what the demonstration is made of. Pure data; `flags.demo` builds it."""

from dataclasses import dataclass

SUPER_ADMINS = (("ana.ruiz@headgate.example", "Ana Ruiz"), ("tom.okafor@headgate.example", "Tom Okafor"))
ANA, TOM = (email for email, _ in SUPER_ADMINS)


@dataclass(frozen=True, slots=True)
class DemoCompany:
    """One company: its channel, its plan, and its people by role, whose e-mail addresses are made of their names."""

    slug: str
    name: str
    plan: str
    admin: str
    channel: str = "general"
    coordinators: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def email(self, person: str) -> str:
        """Return the address of somebody who is at home here."""
        return f"{person.lower().replace(' ', '.')}@{self.slug}.example"


COMPANIES = (
    # Seed 001, section 2: who is in which channel.
    DemoCompany(
        "default-tenant",
        "Default Tenant",
        "enterprise",
        "Iris Novak",
        channel="internal",
        coordinators=("Jun Park",),
        members=("Lena Brandt",),
    ),
    DemoCompany(
        "talbi-logistics-llc",
        "Talbi Logistics LLC",
        "pro",
        "Mira Talbi",
        channel="pilot",
        coordinators=("Samir Haddad",),
        members=("Rosa Lindqvist", "Kofi Mensah"),
    ),
    DemoCompany("alder-couriers", "Alder Couriers", "starter", "Nora Alder", members=("Pete Sloan",)),
    DemoCompany(
        "bluewater-freight",
        "Bluewater Freight",
        "pro",
        "Grace Oyelaran",
        coordinators=("Victor Hale",),
        members=("Amy Castell", "Dario Conti"),
    ),
    DemoCompany(
        "cobalt-transit",
        "Cobalt Transit",
        "enterprise",
        "Henrik Dahl",
        coordinators=("Yuki Tanabe",),
        members=("Ben Ashworth",),
    ),
    DemoCompany("drumlin-haulage", "Drumlin Haulage", "starter", "Fergus Kane"),
    DemoCompany("evergreen-rides", "Evergreen Medical Rides", "pro", "Salma Aziz", coordinators=("Marc Weller",)),
    DemoCompany("foxglove-shuttles", "Foxglove Shuttles", "starter", "Tess Moreau"),
    DemoCompany("grovepoint-movers", "Grovepoint Movers", "pro", "Omar Farouk", members=("Elsa Vinter",)),
    DemoCompany("harborline-cabs", "Harborline Cabs", "starter", "Lucia Ferro"),
    DemoCompany(
        "ironbridge-logistics",
        "Ironbridge Logistics",
        "enterprise",
        "David Osei",
        coordinators=("Hana Sato",),
        members=("Milo Krantz",),
    ),
    DemoCompany("juniper-school-transport", "Juniper School Transport", "pro", "Carla Reyes"),
    DemoCompany("kestrel-express", "Kestrel Express", "starter", "Anton Bauer"),
    DemoCompany("larkspur-paratransit", "Larkspur Paratransit", "enterprise", "Wendy Cho"),
)
BY_SLUG = {company.slug: company for company in COMPANIES}

ALSO_AT = (("talbi-logistics-llc", "Samir Haddad", "bluewater-freight", "member"),)
"""Who belongs to a second company: home, name, the other company, the role there."""


@dataclass(frozen=True, slots=True)
class DemoFlag:
    """A flag that no catalogue lists: an operator made it in the console."""

    key: str
    name: str
    description: str
    category: str
    owner: str
    needs_grant: bool = False
    enabled: bool = False


ROUTE_OPTIMIZER = DemoFlag(
    "route_optimizer",
    "Route Optimizer",
    "Plans a day of trips in one go",
    "operations",
    "Dispatch team",
    needs_grant=True,
)
LEGACY_EXPORT = DemoFlag(
    "legacy_export", "Legacy Export", "Nightly CSV files in the old layout", "analytics", "Data team", enabled=True
)
LIVE_ETA = DemoFlag("live_eta", "Live ETA", "Passengers see when their ride arrives", "operations", "Dispatch team")
FLAGS = (ROUTE_OPTIMIZER, LEGACY_EXPORT, LIVE_ETA)

OWNERS = (
    ("billing_enabled", "Billing team"),
    ("billing_self_service", "Billing team"),
    ("driver_management", "Fleet team"),
    ("vehicle_management", "Fleet team"),
    ("trip_management", "Dispatch team"),
    ("driver_chat", "Dispatch team"),
    ("advanced_reports", "Data team"),
    ("api_access", "Partner team"),
)

CHANNELS = (
    # flag, channel, on, percentage
    ("advanced_reports", "internal", True, 100),
    ("advanced_reports", "pilot", True, 50),
    ("route_optimizer", "internal", True, 100),
    ("route_optimizer", "pilot", True, 100),
)


@dataclass(frozen=True, slots=True)
class DemoOverride:
    """A company's own answer, given by one of the super admins; `days` until it ends, if it does."""

    company: str
    key: str
    enabled: bool
    reason: str
    actor: str
    days: int | None = None


OVERRIDES = (
    DemoOverride("cobalt-transit", "api_access", True, "Contract 881 includes the API", ANA),
    DemoOverride("ironbridge-logistics", "api_access", True, "Moves its own dispatch tool over to us", TOM),
    DemoOverride("evergreen-rides", "api_access", True, "Trial of the API until they decide", ANA, days=30),
    DemoOverride("ironbridge-logistics", "white_label", True, "Branding agreed with sales", ANA),
    DemoOverride("bluewater-freight", "trip_management", True, "Asked to try trips early", TOM),
    DemoOverride("kestrel-express", "broker_management", False, "Works without brokers and wants a shorter menu", TOM),
)

CHOICES = (
    # company, flag, on: chosen by the company's own admin
    ("talbi-logistics-llc", "accounting_enabled", True),
    ("cobalt-transit", "document_signing_enabled", True),
)

GRANTS = (
    # company, person, flag, on, reason
    ("talbi-logistics-llc", "Samir Haddad", "route_optimizer", True, "Plans the routes"),
    ("default-tenant", "Jun Park", "route_optimizer", True, "Tests it with every build"),
    ("talbi-logistics-llc", "Kofi Mensah", "route_optimizer", False, "Drives; has no routes to plan"),
)

KILLED = (LEGACY_EXPORT.key, "Export job 2231 wrote half-empty files")
SIGNED_OFF = {
    LIVE_ETA.key: "Rode along for three days; the times held",
    "trip_management": "Planned a week of trips with it",
}
PROMOTED = "trip_management", "Talbi asked for it by name, and the audit runs tonight"
"""The flag that was let into the pilot channel, past whatever gate was open, and why."""
ASKED = ("driver_management", "vehicle_management", "broker_management", "trip_management", "live_eta", "api_access")
"""What each company's code has asked for, so that usage has something to tell."""
TOKEN_NAME = "Demo server"  # noqa: S105 - a name, not a token
