"""One factory for each model: the least that makes a valid row, and whatever a test names."""

import factory
from factory.django import DjangoModelFactory

from flags import models as flags
from tenants import models as tenants
from tenants import tokens

PASSWORD = "correct horse battery"  # Everybody's, in tests.


class UserFactory(DjangoModelFactory):
    """A person without a company. Signs in with PASSWORD; `super_admin=True` for a super admin."""

    class Meta:
        model = tenants.User
        skip_postgeneration_save = True

    class Params:
        super_admin = factory.Trait(is_superuser=True)

    email = factory.Sequence(lambda n: f"person-{n}@example.com")
    name = factory.LazyAttribute(lambda user: user.email.partition("@")[0].replace("-", " ").capitalize())

    @classmethod
    def _create(cls, model_class, *args, password=PASSWORD, **kwargs):
        return model_class.objects.create_user(*args, password=password, **kwargs)


class CompanyFactory(DjangoModelFactory):
    """A company on the general channel and the starter plan, with settings. `channel` and `plan` may be slugs."""

    class Meta:
        model = tenants.Company
        skip_postgeneration_save = True

    slug = factory.Sequence(lambda n: f"company-{n}")
    name = factory.LazyAttribute(lambda company: company.slug.replace("-", " ").title())
    settings = factory.RelatedFactory("tests.factories.CompanySettingsFactory", factory_related_name="company")

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        for name in ("channel", "plan"):
            if isinstance(kwargs.get(name), str):
                kwargs[f"{name}_id"] = kwargs.pop(name)
        return super()._create(model_class, *args, **kwargs)


class CompanySettingsFactory(DjangoModelFactory):
    class Meta:
        model = tenants.CompanySettings

    company = factory.SubFactory(CompanyFactory, settings=None)


class ReleaseChannelFactory(DjangoModelFactory):
    class Meta:
        model = tenants.ReleaseChannel

    slug = factory.Sequence(lambda n: f"channel-{n}")
    name = factory.LazyAttribute(lambda channel: channel.slug.capitalize())
    rank = factory.Sequence(lambda n: 100 + n)


class PlanFactory(DjangoModelFactory):
    class Meta:
        model = tenants.Plan

    slug = factory.Sequence(lambda n: f"plan-{n}")
    name = factory.LazyAttribute(lambda plan: plan.slug.capitalize())
    rank = factory.Sequence(lambda n: 100 + n)


class MembershipFactory(DjangoModelFactory):
    """A member of a company, at home there unless the person has a home already."""

    class Meta:
        model = tenants.Membership

    company = factory.SubFactory(CompanyFactory)
    user = factory.SubFactory(UserFactory)
    role = tenants.Role.MEMBER
    is_home = factory.LazyAttribute(lambda membership: not membership.user.memberships.filter(is_home=True).exists())


class ApiTokenFactory(DjangoModelFactory):
    """A server key that may evaluate. The token itself is in `plain`, as nothing stored can tell it."""

    class Meta:
        model = tenants.ApiToken

    name = factory.Sequence(lambda n: f"Token {n}")
    kind = tenants.ApiToken.Kind.SERVER
    scopes = ["evaluate"]

    @classmethod
    def _create(cls, model_class, *args, last_used_at=None, revoked_at=None, **kwargs):
        token, plain = tokens.mint(**kwargs)
        if last_used_at or revoked_at:
            token.last_used_at, token.revoked_at = last_used_at, revoked_at
            token.save()
        token.plain = plain
        return token


class FlagFactory(DjangoModelFactory):
    """A flag that is off. `minimum_plan` may be a slug, `requires` a list of flags."""

    class Meta:
        model = flags.Flag
        skip_postgeneration_save = True

    key = factory.Sequence(lambda n: f"feature_{n}")
    name = factory.LazyAttribute(lambda flag: flag.key.replace("_", " ").capitalize())
    category = "general"
    default_enabled = False

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        if isinstance(kwargs.get("minimum_plan"), str):
            kwargs["minimum_plan_id"] = kwargs.pop("minimum_plan")
        return super()._create(model_class, *args, **kwargs)

    @factory.post_generation
    def requires(self, create, required, **kwargs):
        for flag in required or ():
            RequirementFactory(flag=self, requires=flag)


class RequirementFactory(DjangoModelFactory):
    class Meta:
        model = flags.Requirement

    flag = factory.SubFactory(FlagFactory)
    requires = factory.SubFactory(FlagFactory)


class ChannelDefaultFactory(DjangoModelFactory):
    """On for everyone on the general channel. `channel` may be a slug."""

    class Meta:
        model = flags.ChannelDefault

    flag = factory.SubFactory(FlagFactory)
    channel = "general"
    enabled = True

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        if isinstance(kwargs.get("channel"), str):
            kwargs["channel_id"] = kwargs.pop("channel")
        return super()._create(model_class, *args, **kwargs)


class OverrideFactory(DjangoModelFactory):
    """On for one company."""

    class Meta:
        model = flags.Override

    company = factory.SubFactory(CompanyFactory)
    flag = factory.SubFactory(FlagFactory)
    enabled = True
    reason = "agreed by contract"


class OptInFactory(DjangoModelFactory):
    class Meta:
        model = flags.OptIn

    company = factory.SubFactory(CompanyFactory)
    flag = factory.SubFactory(FlagFactory, is_self_service=True)
    enabled = True


class GrantFactory(DjangoModelFactory):
    """One person's permission, in a company they belong to."""

    class Meta:
        model = flags.Grant

    company = factory.SubFactory(CompanyFactory)
    user = factory.SubFactory(UserFactory)
    flag = factory.SubFactory(FlagFactory, needs_grant=True)
    enabled = True

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        company, user = kwargs["company"], kwargs["user"]
        if not company.memberships.filter(user=user).exists():
            MembershipFactory(company=company, user=user)
        return super()._create(model_class, *args, **kwargs)


class ChangeFactory(DjangoModelFactory):
    """One line of history."""

    class Meta:
        model = flags.Change

    actor = "alice@example.com"
    via = "console"
    verb = "set_default"
