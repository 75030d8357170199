"""Another process of the same installation, with caches of its own: `python -m tests.flags.otherprocess`.

It is told one thing a line on its standard input, and answers in one line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import django

ROOT = Path(__file__).resolve().parent.parent.parent


class OtherProcess:
    """Start it on the test's own database, and ask it. A context manager."""

    def __init__(self, settings_dict: dict, **environment: str) -> None:
        address = {"DATABASE_URL": url_of(settings_dict), "DJANGO_SETTINGS_MODULE": "tests.settings"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.flags.otherprocess"],
            cwd=ROOT,
            env={**os.environ, "CACHE_URL": "locmemcache://", **address, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, company_id: UUID, key: str) -> dict:
        """Return `enabled`, `reason`, `stale`, and the number of `queries` it took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(company_id, key, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> "OtherProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


def run(program: str, settings_dict: dict, **environment: str) -> list[str]:
    """Run a program of Python on the test's own database, to its end. Return the lines that it printed."""
    address = {"DATABASE_URL": url_of(settings_dict), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **address, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def url_of(settings_dict: dict) -> str:
    """Return the DATABASE_URL of a database that is in use."""
    name = settings_dict["NAME"]
    if "sqlite" in settings_dict["ENGINE"]:
        return f"sqlite:///{name}"
    login = quote(settings_dict["USER"]) + (f":{quote(settings_dict['PASSWORD'])}" if settings_dict["PASSWORD"] else "")
    port = f":{settings_dict['PORT']}" if settings_dict["PORT"] else ""
    return f"postgres://{login}@{settings_dict['HOST']}{port}/{name}"


def main() -> None:
    """Answer until nobody asks any more."""
    django.setup()

    # These need the models, which exist only from here on.
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from flags.features import features_for

    for line in sys.stdin:
        company_id, key = line.split()
        with CaptureQueriesContext(connection) as queries:
            features = features_for(None, UUID(company_id))
            decision = features.decide(key)
        answer = {"enabled": decision.enabled, "reason": decision.reason, "stale": features.stale}
        print(json.dumps({**answer, "queries": len(queries)}), flush=True)


if __name__ == "__main__":
    main()
