"""Settings, read top to bottom, once. This is the only module that reads the environment.

Each variable is explained in `.env.example`; without any of them the project runs on SQLite and in-process
caches, but refuses to start without a secret key unless `DJANGO_DEBUG` is on.
"""

import re
import sys
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
# pytest sets the variable for the length of its run. By itself it says nothing: no variable makes production less safe.
TESTING = bool(env.str("PYTEST_VERSION", default="")) and "pytest" in sys.modules
if not TESTING and (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")  # What the environment already says wins over the file.

DEBUG = env.bool("DJANGO_DEBUG", default=False)
LOCAL = DEBUG or TESTING  # Plain HTTP on this machine, where secure cookies and redirects would only lock people out.

SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="")
if LOCAL and not SECRET_KEY:
    SECRET_KEY = "known to everybody, for local use only: " + str(BASE_DIR)  # Sign-ins survive restarts.
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "DJANGO_SECRET_KEY is not set. Give it 50 or more random characters, for example from "
        '`python -c "import secrets; print(secrets.token_urlsafe(50))"`, or set DJANGO_DEBUG=true on your own machine.'
    )
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])

# Who may ask, and from where

ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)  # The client is this many entries from the right.
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Applications

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tenants",
    "flags",
]
MIDDLEWARE = [
    "config.requestid.RequestIdMiddleware",
    "config.csp.ContentSecurityPolicyMiddleware",  # Outside all that may refuse a request: refusals are pages too.
    "config.cors.CorsMiddleware",
    "config.health.ProbeMiddleware",
    "config.zones.ZoneMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tenants.middleware.TenantMiddleware",
    "flags.middleware.FeaturesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.csp.csp_nonce",
                "tenants.context_processors.workspaces",
                "flags.context_processors.features",
            ],
        },
    },
]

# Database: SQLite unless DATABASE_URL names a PostgreSQL

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DATABASE = DATABASES["default"]
DATABASE_OPTIONS = DATABASE.setdefault("OPTIONS", {})
# To open a connection costs more than to answer from memory, on SQLite too.
DATABASE["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
TEST_DB_SUFFIX = env.str("TEST_DB_SUFFIX", default="")
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    # Writers queue at BEGIN instead of failing halfway; readers never wait for them.
    DATABASE_OPTIONS["transaction_mode"] = "IMMEDIATE"
    DATABASE_OPTIONS["init_command"] = (
        "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON"
    )
    # A file: databases in memory are shared between threads without the locks that production has.
    DATABASE["TEST"] = {"NAME": str(BASE_DIR / f"test{TEST_DB_SUFFIX}.sqlite3")}
else:
    DATABASE["TEST"] = {"NAME": f"test_headgate{TEST_DB_SUFFIX and '_' + TEST_DB_SUFFIX}"}
    # A server that went away is noticed within seconds, not when TCP gives up after a quarter of an hour.
    if DATABASE["ENGINE"] == "django.db.backends.postgresql":
        DATABASE["ENGINE"] = "tenants.postgresql"
    DATABASE_OPTIONS.setdefault("connect_timeout", 2)
    DATABASE_OPTIONS.setdefault("keepalives_idle", 30)
    DATABASE_OPTIONS.setdefault("keepalives_interval", 5)
    DATABASE_OPTIONS.setdefault("keepalives_count", 3)
    DATABASE_OPTIONS.setdefault("tcp_user_timeout", 5000)
    DATABASE["CONN_HEALTH_CHECKS"] = True
    # PgBouncer in transaction mode gives the next statement to another server, which does not know our cursor.
    DATABASE["DISABLE_SERVER_SIDE_CURSORS"] = env.bool("DISABLE_SERVER_SIDE_CURSORS", default=False)
    if pool_size := env.int("DATABASE_POOL", default=0):
        DATABASE_OPTIONS["pool"] = {"min_size": min(2, pool_size), "max_size": pool_size, "timeout": 2}
        DATABASE["CONN_MAX_AGE"] = 0  # The pool keeps connections; Django refuses to keep them as well.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache: in this process unless CACHE_URL names a Redis

FLAGS_CACHE_SECONDS = env.int("FLAGS_CACHE_SECONDS", default=300)  # A ceiling: changes take effect at once.
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://headgate")}
CACHE = CACHES["default"]
CACHE.setdefault("TIMEOUT", FLAGS_CACHE_SECONDS)
CACHE.setdefault("KEY_PREFIX", "headgate")
CACHE_OPTIONS = CACHE.setdefault("OPTIONS", {})
if "redis" in CACHE["BACKEND"].lower():
    CACHE["BACKEND"] = "flags.guardedcache.GuardedRedisCache"
    CACHE_OPTIONS.setdefault("socket_connect_timeout", 0.1)
    CACHE_OPTIONS.setdefault("socket_timeout", 0.1)
elif "locmem" in CACHE["BACKEND"]:
    CACHE_OPTIONS.setdefault("MAX_ENTRIES", 10_000)

# Flags and releases

FLAGS_FRESHNESS = env.str("FLAGS_FRESHNESS", default="exact")
if FLAGS_FRESHNESS not in ("exact", "streamed"):
    raise ImproperlyConfigured(f"FLAGS_FRESHNESS is {FLAGS_FRESHNESS!r}. Say 'exact' or 'streamed', or leave it out.")
FLAGS_MAX_STALENESS_MS = env.int("FLAGS_MAX_STALENESS_MS", default=1000)
if not 100 <= FLAGS_MAX_STALENESS_MS <= 60_000:
    raise ImproperlyConfigured(
        f"FLAGS_MAX_STALENESS_MS is {FLAGS_MAX_STALENESS_MS}. Give 100 to 60000 milliseconds; for 0, "
        "set FLAGS_FRESHNESS=exact."
    )
FLAGS_STALE_DAYS = env.int("FLAGS_STALE_DAYS", default=30)
# How often counts of use are written down, in seconds; 0 counts nothing. Tests count when they ask to.
FLAGS_USAGE_SECONDS = env.int("FLAGS_USAGE_SECONDS", default=0 if TESTING else 5)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # Who may read /metrics from elsewhere.
FLAGS_REQUIRE_REASON = env.bool("FLAGS_REQUIRE_REASON", default=False)
# MULTI_WORKSPACE_ENABLED=true is the inherited default of multi_workspace_enabled; which names are flags, flags knows.
FLAGS_ENVIRONMENT = {name: value for name, value in env.ENVIRON.items() if name.isupper()}

# People and sessions

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["tenants.authentication.WithHome"]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if TESTING:
    PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")  # Tests sign in by the thousand.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not LOCAL
SESSION_COOKIE_NAME = "headgate_session" if LOCAL else "__Host-headgate_session"
CSRF_COOKIE_NAME = "headgate_csrf" if LOCAL else "__Host-headgate_csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# Transport

SECURE_SSL_REDIRECT = env.bool("DJANGO_SSL_REDIRECT", default=not LOCAL)
SECURE_HSTS_SECONDS = env.int("DJANGO_HSTS_SECONDS", default=0 if LOCAL else 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("DJANGO_HSTS_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("DJANGO_HSTS_PRELOAD", default=False)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Language, time and files

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if LOCAL
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = LOCAL  # No collectstatic on your own machine.

# Mail

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="headgate@localhost")

# API

API_RATE_LIMIT = env.str("API_RATE_LIMIT", default="6000/min")
if not re.fullmatch(r"\d+/(s|min|h|d)", API_RATE_LIMIT):
    raise ImproperlyConfigured(f"API_RATE_LIMIT is {API_RATE_LIMIT!r}. Give a number per s, min, h or d: 6000/min.")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["flags.api.authentication.PrincipalAuthentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["flags.api.parsing.StrictJsonParser", "flags.api.parsing.NoFormParser"],
    "EXCEPTION_HANDLER": "flags.api.errors.handle",
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "flags.api.schema.ApiSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Headgate",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_PATCH": False,  # PATCH has inputs of its own.
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["flags.api.schema.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "docExpansion": "list",
        "defaultModelsExpandDepth": 0,
        "displayRequestDuration": True,
    },
}

# Logs

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "config.logs.RequestIdFilter"}},
    "formatters": {
        "json": {"()": "config.logs.JsonFormatter"},
        "text": {"format": "%(levelname)s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "text" if LOCAL else "json",
        },
    },
    "root": {"handlers": ["console"], "level": env.str("DJANGO_LOG_LEVEL", default="INFO")},
    "loggers": {"django": {"handlers": [], "propagate": True}},  # Django's own handlers would say everything twice.
}
