"""Measures, and says which bars hold: `python -m tests.benchmarks [--only NAME …] [--quick] [--markdown]`.

Each benchmark runs in a process of its own. DATABASE_URL and CACHE_URL say what is measured on; without them it is
SQLite and the cache in the process.
"""

import argparse
import importlib
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import django

from tests.benchmarks.measuring import SECONDS, Row, Run, Unavailable

FOLDER = Path(__file__).parent
WIDTHS = (66, 14, 12, 14, 6)
HEADINGS = ("", "figure", "in U", "bar", "holds")


@dataclass(slots=True)
class Result:
    """What one benchmark said. `problem` is why it has no figures, or not all."""

    name: str
    title: str
    unit: float = 0.0
    rows: list[Row] = field(default_factory=list)
    problem: str = ""
    failed: bool = False


def names() -> list[str]:
    """Return every module here that has rows to tell."""
    found = (path for path in FOLDER.glob("*.py") if re.search(r"^def rows\(", path.read_text(), re.MULTILINE))
    return sorted(path.stem for path in found)


def measure(name: str, quick: bool) -> Result:
    """Run one benchmark here and now."""
    module = importlib.import_module(f"tests.benchmarks.{name}")
    result = Result(name, re.split(r"[:.](?:\s|$)", (module.__doc__ or name).strip())[0])
    run = Run(quick)
    try:
        for row in module.rows(run):
            result.rows.append(row)
    except Unavailable as error:
        result.problem = str(error)
    result.unit = run.unit
    return result


def measure_apart(name: str, quick: bool) -> Result:
    """Run one benchmark in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks", "--only", name, "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent.parent)
    if done.returncode:
        return Result(name, name, problem=f"failed with exit status {done.returncode}; see above", failed=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Result(**{**said, "rows": [Row(**row) for row in said["rows"]]})


# Saying it


def figure(value: float) -> str:
    """Write a number with three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def cells(row: Row, unit: float) -> tuple[str, ...]:
    """Return what stands in the columns of the table."""
    seconds = SECONDS.get(row.unit)
    in_u = row.value * seconds / unit if seconds and unit else 0
    bar = f"≤ {figure(row.most)}" if row.most is not None else f"≥ {figure(row.least)}" if row.least is not None else ""
    holds = {True: "yes", False: "NO", None: ""}[row.holds]
    ratio = f"{figure(in_u)} U" if 0 < in_u < 100_000 else ""  # Milliseconds are nobody's look-ups.
    return row.name, f"{figure(row.value)} {row.unit}", ratio, bar and f"{bar} {row.unit}", holds


def as_text(result: Result) -> str:
    """Tell a result for a terminal."""
    lines = [f"\n{result.name}: {result.title} (U = {result.unit * 1e9:.0f} ns)"]
    for row in (HEADINGS, *(cells(row, result.unit) for row in result.rows)):
        name, *others = (f"{cell:>{width}}" for cell, width in zip(row, WIDTHS, strict=True))
        lines.append(f"  {name.strip():<{WIDTHS[0]}}{''.join(others)}")
    notes = [f"  {row.name}: {row.note}" for row in result.rows if row.note]
    return "\n".join([*lines, *notes, *([f"  not measured: {result.problem}"] if result.problem else [])])


def as_markdown(result: Result) -> str:
    """Tell a result for a document."""
    lines = [f"### {result.title}\n", f"U = {result.unit * 1e9:.0f} ns\n", "| what | figure | in U | bar | holds | |"]
    lines.append("|---|---:|---:|---:|---|---|")
    lines += [f"| {' | '.join(cells(row, result.unit))} | {row.note} |" for row in result.rows]
    return "\n".join([*lines, *([f"\nNot measured: {result.problem}."] if result.problem else []), ""])


def summary(results: list[Result]) -> str:
    """Say which bars hold and which do not."""
    held = [(result.name, row) for result in results for row in result.rows if row.holds is not None]
    missed = [f"  {name}: {' '.join(cells(row, 0)[:2])}, bar {cells(row, 0)[3]}" for name, row in held if not row.holds]
    said = f"\n{len(held) - len(missed)} of {len(held)} bars hold."
    return "\n".join([said, *(["These do not:", *missed] if missed else [])])


def machine() -> str:
    """Say on what this was measured."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"Python {platform.python_version()}, Django {django.__version__}, {os.cpu_count()} cores{load}"


def main() -> int:
    """Measure what was asked for; exit status 1 where a benchmark broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=names(), help="measure this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller databases; figures are rougher")
    parser.add_argument("--markdown", action="store_true", help="print tables as docs/performance.md has them")
    parser.add_argument("--keep", action="store_true", help="keep the databases that were made, for the next run")
    parser.add_argument("--list", action="store_true", help="say what can be measured, and measure nothing")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(names()))
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("DJANGO_DEBUG", "true")
    os.environ.setdefault("DJANGO_LOG_LEVEL", "ERROR")
    django.setup()
    if asked.json:
        print(json.dumps(asdict(measure(asked.only[0], asked.quick))))
        return 0
    print(machine())
    results = []
    try:
        for name in asked.only or names():
            results.append(measure_apart(name, asked.quick))
            print(as_markdown(results[-1]) if asked.markdown else as_text(results[-1]), flush=True)
    finally:
        if not asked.keep:
            importlib.import_module("tests.benchmarks.stage").drop_all()
    print(summary(results))
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
