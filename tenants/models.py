"""Who is asking: people, the companies they belong to, and the ring and plan each company is on."""

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

SLUG = RegexValidator(r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z", "Use lower-case letters, digits and single dashes.")
COLOUR = RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", "Use a colour such as #1f6feb.")
CURRENCY = RegexValidator(r"\A[A-Z]{3}\Z", "Use a three-letter currency code such as EUR.")


class ReleaseChannel(models.Model):
    """The ring a company is in: internal, pilot, general. Its slug is its key (seed 001, section 2)."""

    slug = models.SlugField(primary_key=True, max_length=40, validators=[SLUG])
    name = models.CharField(max_length=60)
    rank = models.PositiveSmallIntegerField(unique=True)
    soak_days = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(365)])
    purpose = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["rank"]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """What a company pays for. A flag may ask for a minimum rank (seed 004, consequences)."""

    slug = models.SlugField(primary_key=True, max_length=40, validators=[SLUG])
    name = models.CharField(max_length=60)
    rank = models.PositiveSmallIntegerField(unique=True)

    class Meta:
        ordering = ["rank"]

    def __str__(self) -> str:
        return self.name


class Company(models.Model):
    """A tenant of the host application. An inactive company is answered like no company at all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True, max_length=80, validators=[SLUG])
    name = models.CharField(max_length=120)
    channel = models.ForeignKey(ReleaseChannel, models.PROTECT, related_name="+", default="general")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+", default="starter")
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="company_has_a_name"),
            models.CheckConstraint(condition=~Q(slug=""), name="company_has_a_slug"),
        ]
        indexes = [
            models.Index(F("name"), F("id"), name="companies_by_name"),
            models.Index(Lower("name"), name="companies_by_lower_name"),
            models.Index(F("channel"), F("plan"), name="companies_by_channel_and_plan"),
        ]

    def __str__(self) -> str:
        return self.name


class NameTrigram(models.Model):
    """Three letters in a row of a company's name or slug, and all of both, in lower case. What a search begins with.

    Kept by a trigger on PostgreSQL (`tenants.trigrams`), and nowhere else: see `tenants.names`.
    """

    pk = models.CompositePrimaryKey("company_id", "trigram")
    company = models.ForeignKey(
        Company, models.DO_NOTHING, related_name="trigrams", db_index=False, db_constraint=False
    )
    trigram = models.CharField(max_length=3)
    name = models.CharField(max_length=120)
    text = models.TextField()

    class Meta:
        # In the order of lists, and with all that a search looks at: it reads the index alone.
        indexes = [models.Index(F("trigram"), F("name"), F("company"), F("text"), name="companies_by_trigram")]

    def __str__(self) -> str:
        return self.trigram


class UserManager(BaseUserManager["User"]):
    """Makes people. E-mail addresses are kept in lower case, so that one person has one account."""

    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        """Make a person who may sign in. Raises ValueError without an e-mail address."""
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        """Make a super admin: somebody who may use the console."""
        return self.create_user(email, password, **{**fields, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())

    def with_home(self) -> "models.QuerySet[User]":
        """Return people with `home_id`, and where that is not None `home`: their membership there, with its company."""
        at_home = models.FilteredRelation("memberships", condition=Q(memberships__is_home=True))
        people = self.annotate(home=at_home, home_id=models.F("home__id"))
        return people.select_related("home__company")  # type: ignore[misc]


class User(AbstractBaseUser):
    """A person. Signs in by e-mail address; a super admin is a superuser."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_superuser = models.BooleanField("super admin", default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ["email"]
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Staff and super admin are one thing here."""
        return self.is_superuser


class Role(models.TextChoices):
    """What a person may see of their company (seed 002: admins and coordinators read its features)."""

    ADMIN = "admin", "Admin"
    COORDINATOR = "coordinator", "Coordinator"
    MEMBER = "member", "Member"


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Questions about where people belong."""

    def home_of(self, user: User) -> "Membership | None":
        """Return a person's membership at home, with its company; None while that company is inactive."""
        return self.filter(user=user, is_home=True, company__is_active=True).select_related("company").first()


class Membership(models.Model):
    """A person belongs to a company, in a role. One of a person's companies is home."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.MEMBER)
    is_home = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["company", "user"], name="one_membership_per_company_and_person"),
            models.UniqueConstraint(fields=["user"], condition=Q(is_home=True), name="one_home_per_person"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.company}"


class CompanySettings(models.Model):
    """What a company says about itself (seed 004: the settings that the feature flags ride along with)."""

    company = models.OneToOneField(Company, models.CASCADE, primary_key=True, related_name="settings")
    default_currency = models.CharField(max_length=3, default="USD", validators=[CURRENCY])
    brand_colour = models.CharField(max_length=7, default="#1f6feb", validators=[COLOUR])
    time_zone = models.CharField(max_length=64, default="UTC")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "company settings"

    def __str__(self) -> str:
        return f"Settings of {self.company_id}"


class ApiToken(models.Model):
    """A key for a program. Only a digest of its secret is kept; a client key is bound to one company."""

    class Kind(models.TextChoices):
        SERVER = "server", "Server key"
        CLIENT = "client", "Client key"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SERVER)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, null=True, blank=True, related_name="+")
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="server") | Q(company__isnull=False), name="client_key_is_bound_to_a_company"
            ),
            models.CheckConstraint(condition=Q(kind__in=["server", "client"]), name="token_kind_is_known"),
        ]

    def __str__(self) -> str:
        return self.name


class RefreshToken(models.Model):
    """One link in a chain of refresh tokens. Using a spent link again ends the whole family."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    family = models.UUIDField(default=uuid.uuid4, db_index=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    active_company = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    spent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)


class SignInFailure(models.Model):
    """How often signing in failed for one key (a person, or a person from one address), and when last."""

    key = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} failures"
