"""The stage and the cast.

The database is that of DATABASE_URL, SQLite without one. On PostgreSQL tests log in as an ordinary role that owns the
test database and nothing else. What a test itself reads and writes is done as Headgate (`headgate_console`). A request
made through a test client begins unbound and binds itself, as it would in production, and the test's binding returns
with its end. To act as the owner of the tables, `with rls.acting_as_nobody()`. Threads start unbound.

Query counts leave out what begins, ends and binds transactions, so that they are the same on both databases.
"""

import gc
import importlib
import itertools
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import time_machine
from django.conf import settings
from django.core.cache import caches
from django.core.handlers.base import BaseHandler
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.test import Client, TransactionTestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import settings as hypothesis_settings

from flags import gatetemplates, triggers
from flags import sync as flags_sync
from tenants import known, recall, rls
from tenants import sync as tenants_sync
from tenants.models import Company, Role, User
from tests import postgres
from tests.chromium import CHROMIUM
from tests.factories import CompanyFactory, MembershipFactory, UserFactory
from tests.sampling import examples, for_the_other_database

pytest_plugins = ["flags.pytest_plugin"]

# How long an example takes says more about the machine than about us.
hypothesis_settings.register_profile("headgate", deadline=None, max_examples=examples(100))
hypothesis_settings.load_profile("headgate")

NODE_PACKAGES = Path(settings.BASE_DIR) / "docs" / "examples" / "node_modules"
TEST_BINDING = rls.Binding(rls.CONSOLE_ROLE, why="a test")
_cache_names = itertools.count()

# The stage


def lacking(service: str) -> None:
    """Skip the test for want of a service; with REQUIRE_SERVICES=1 it fails instead."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{service} is required (REQUIRE_SERVICES=1) and not there.", pytrace=False)
    pytest.skip(f"needs {service}")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session):
    """Look for garbage seldom: ten thousand tests are no garbage, and going through all of them takes its time."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave some cases of what has many to the other database."""
    left = for_the_other_database(items, connection.vendor == "sqlite")
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, or fail, what needs a service that is not there."""
    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        lacking("PostgreSQL, named by DATABASE_URL")
    if item.get_closest_marker("redis") and not _redis_answers():
        lacking("Redis, named by CACHE_URL")
    if item.get_closest_marker("browser") and not CHROMIUM.exists():
        lacking(f"Chromium at {CHROMIUM}")
    if item.get_closest_marker("clients") and not (shutil.which("node") and NODE_PACKAGES.exists()):
        lacking("Node, and its packages in docs/examples (`npm ci` there)")


def _is_redis() -> bool:
    return "redis" in settings.CACHES["default"]["BACKEND"].lower()


def _redis_answers() -> bool:
    if not _is_redis():
        return False
    redis = importlib.import_module("redis")
    try:
        return bool(redis.Redis.from_url(settings.CACHES["default"]["LOCATION"], socket_connect_timeout=1).ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser for Playwright's `executable_path`."""
    if not CHROMIUM.exists():
        lacking(f"Chromium at {CHROMIUM}")
    return str(CHROMIUM)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Before the test database is made: it is to belong to an ordinary login."""
    if connection.vendor == "postgresql":
        connections.close_all()
        postgres.use_ordinary_login(connection.settings_dict)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Once the test database is made: be sure that its login proves something, and be quick to empty it."""
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            assert not any(postgres.powers_of_login().values()), postgres.powers_of_login()
        with mock.patch.object(TransactionTestCase, "_fixture_teardown", _begin_anew):
            yield
    else:
        yield


def _begin_anew(case: TransactionTestCase) -> None:
    """What `flush` does, a good deal faster: the rows go, and what `migrate` fills in comes back."""
    postgres.delete_everything()
    if triggers.missing(connection):
        triggers.after_migrate(using="default")
    for seeds in (tenants_sync, gatetemplates, flags_sync):
        seeds.after_migrate(using="default")


@pytest.fixture(autouse=True)
def _bound_as_headgate(request: pytest.FixtureRequest):
    """Let a test that uses the database act as Headgate."""
    marker = request.node.get_closest_marker("django_db")
    if not (marker or {"db", "transactional_db", "live_server"} & set(request.fixturenames)):
        yield
        return
    request.getfixturevalue("db")
    token = rls._current.set(TEST_BINDING)
    try:
        if connection.in_atomic_block:
            # Everything is local to the test's transaction, and ends with it.
            rls._apply(connection.alias)
            yield
        else:
            yield from _bound_for_session()
    finally:
        rls._current.reset(token)


@pytest.fixture(autouse=True)
def _requests_begin_unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no request work with the rights of the test that makes it."""
    get_response = BaseHandler.get_response

    def unbound(self, request):
        with _nobody_for_a_request():
            return get_response(self, request)

    monkeypatch.setattr(BaseHandler, "get_response", unbound)


@contextmanager
def _nobody_for_a_request():
    """`rls.acting_as_nobody`, without a savepoint of its own in the transaction of a test: there are many requests."""
    if not connection.in_atomic_block:
        with rls.acting_as_nobody():
            yield
        return
    token = rls._current.set(rls.NOBODY)
    rls._apply(connection.alias)
    try:
        yield
    finally:
        rls._current.reset(token)
        rls._apply(connection.alias)


def _bound_for_session():
    """A test with transactions of its own: this thread's connections take the role for as long as they live."""
    this_thread = threading.get_ident()

    def take_role(connection, **kwargs):
        if connection.vendor == "postgresql" and threading.get_ident() == this_thread:
            with connection.cursor() as cursor:
                cursor.execute(f"set session role {rls.CONSOLE_ROLE}")

    connection_created.connect(take_role, weak=False)
    connection.ensure_connection()
    take_role(connection)
    try:
        yield
    finally:
        connection_created.disconnect(take_role)
        connection.close()  # The role goes with it; what follows is the owner's work.


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """No test sees what another left in a cache or in this process."""
    if _is_redis():
        # A name of its own for each test: others use the same server, so it is never flushed.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        prefix = f"test:{os.environ.get('TEST_DB_SUFFIX', '')}:{worker}:{os.getpid()}:{next(_cache_names)}"
        settings.CACHES["default"]["KEY_PREFIX"] = caches["default"].key_prefix = prefix
    else:
        caches["default"].clear()
    importlib.import_module("flags.snapshots").clear()
    recall.clear()
    known.clear()
    importlib.import_module("flags.api.throttling").leases.clear()


class Queries(CaptureQueriesContext):
    """The statements of a block, without those that begin, end and bind transactions."""

    AROUND = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|select set_config\()", re.IGNORECASE)

    @property
    def captured_queries(self):
        return [query for query in super().captured_queries if not self.AROUND.match(query["sql"])]


@contextmanager
def _counted(number: int, exact: bool):
    with Queries(connection) as queries:
        yield queries
    listed = "\n".join(query["sql"] for query in queries.captured_queries)
    assert len(queries) == number if exact else len(queries) <= number, f"{len(queries)} queries:\n{listed}"


@pytest.fixture
def django_assert_num_queries():
    """Return a context manager that counts queries: exactly so many."""
    return partial(_counted, exact=True)


@pytest.fixture
def django_assert_max_num_queries():
    """Return a context manager that counts queries: at most so many."""
    return partial(_counted, exact=False)


# The cast


@pytest.fixture
def acme(db) -> Company:
    """A company on the general channel, with the pro plan."""
    return CompanyFactory(slug="acme", name="Acme", channel="general", plan="pro")


@pytest.fixture
def globex(db) -> Company:
    """A company on the pilot channel, with the starter plan."""
    return CompanyFactory(slug="globex", name="Globex", channel="pilot", plan="starter")


@pytest.fixture
def default_tenant(db) -> Company:
    """Our own company, on the internal channel."""
    return CompanyFactory(slug="default-tenant", name="Default Tenant", channel="internal", plan="enterprise")


@pytest.fixture
def alice(db) -> User:
    """A super admin, of no company."""
    return UserFactory(email="alice@example.com", name="Alice", super_admin=True)


def _person(name: str, company: Company, role: Role) -> User:
    user = UserFactory(email=f"{name.lower()}@{company.slug}.example", name=name)
    MembershipFactory(company=company, user=user, role=role)
    return user


@pytest.fixture
def bob(acme: Company) -> User:
    """An admin of Acme."""
    return _person("Bob", acme, Role.ADMIN)


@pytest.fixture
def carol(globex: Company) -> User:
    """An admin of Globex."""
    return _person("Carol", globex, Role.ADMIN)


@pytest.fixture
def dan(acme: Company) -> User:
    """A member of Acme."""
    return _person("Dan", acme, Role.MEMBER)


@pytest.fixture
def cora(acme: Company) -> User:
    """A coordinator of Acme."""
    return _person("Cora", acme, Role.COORDINATOR)


@pytest.fixture
def sign_in():
    """Return a function that gives a browser in which a person is signed in."""

    def signed_in(user: User, **kwargs) -> Client:
        client = Client(**kwargs)
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def clock():
    """Stop the clock, and return it, to be moved: `clock.shift(timedelta(minutes=5))`, `clock.move_to(moment)`."""
    with time_machine.travel(timezone.now(), tick=False) as stopped:
        yield stopped


@pytest.fixture
def time_machine_at():
    """Return a function that stops the clock at a moment. A context manager."""
    return lambda moment: time_machine.travel(moment, tick=False)
