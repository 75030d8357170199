"""How gunicorn serves the project: `gunicorn --config config/gunicorn.py config.wsgi`.

Where it listens and how many workers it starts are the machine's business: `PORT` and `WEB_CONCURRENCY` are
gunicorn's own variables, and every value here yields to the command line.
"""

import os

worker_class = "config.draining.DrainingWorker"  # gthread, but it loses nothing when it stops.
workers = int(os.environ.get("WEB_CONCURRENCY") or min(max(os.cpu_count() or 1, 2), 8))
threads = 4  # DATABASE_POOL, where it is used, must be at least this.
timeout = 30
graceful_timeout = 30
keepalive = 5  # Longer than most proxies keep an idle connection, so that it is they who close it.
max_requests = 20_000  # A slow leak never gets old; the jitter keeps the workers from leaving together.
max_requests_jitter = 2_000
preload_app = False  # With True, threads, locks and pools of connections begin anew in each worker by themselves.
control_socket_disable = True  # Otherwise it opens one in the home directory, which a service may not have.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  The heartbeat must not wait for a disk.

limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190

accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms request=%({x-request-id}o)s"  # No query: people search.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
