"""Do the tests notice when the mathematics is changed? Mutations by cosmic-ray, in a copy.

Each mutation changes one operator, number, comparison or decorator of a file; then the tests of its
subject run. A mutation that no test notices survives, and is listed with its difference. Survivors
are killed by a test or explained in docs/mutations.md.

    python -m benchmarks.mutations shares --to mutations.json              # all of a subject
    python -m benchmarks.mutations secants --sample 100 --to mutations.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECANT = (
    "maxima",
    "multivariate",
    "nonlinearities",
    "normalization",
    "orders",
    "products",
    "slopes",
)


@dataclass(frozen=True)
class Subject:
    """Files of src/codeclens, and the tests that must notice their mutations."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


SUBJECTS = {
    "secants": Subject(
        tuple(f"attribution/secant/{name}.py" for name in SECANT),
        tuple(
            f"tests/attribution/test_{name}.py"
            for name in ("secant", "nonlinearities", "multivariate", "selection", "choices")
        ),
    ),
    "reduction": Subject(
        ("attribution/results.py",),
        ("tests/attribution/test_results.py", "tests/attribution/test_contributions.py"),
    ),
    "statistics": Subject(
        ("analysis/statistics.py",),
        ("tests/analysis/test_statistics.py", "tests/analysis/test_trend.py"),
    ),
    "shares": Subject(("decomposition/shares.py",), ("tests/decomposition/test_shares.py",)),
}
# With postponed evaluation, annotations (`X | None`) are never evaluated: nothing can notice them.
NEVER_EVALUATED = "BitOr"


def configuration(subject: Subject, folder: Path, timeout: float) -> str:
    """The TOML of cosmic-ray for a copy of the checkout."""
    files = ", ".join(
        json.dumps(str(folder / "src" / "codeclens" / file)) for file in subject.files
    )
    python = f"{sys.executable} -m pytest -q -x -p no:cacheprovider -m 'not slow'"
    command = json.dumps(f"{python} {' '.join(subject.tests)}")
    return (
        f"[cosmic-ray]\nmodule-path = [{files}]\ntimeout = {timeout}\nexcluded-modules = []\n"
        f'test-command = {command}\n[cosmic-ray.distributor]\nname = "local"\n'
    )


def chosen(session: Path, sample: int | None, seed: int) -> int:
    """Keep `sample` mutations of a session, drawn with `seed`, and return how many are left."""
    with closing(sqlite3.connect(session)) as data, data:
        rows = data.execute(
            "SELECT job_id, operator_name FROM mutation_specs "
            "ORDER BY module_path, operator_name, occurrence"
        ).fetchall()
        jobs = [job for job, operator in rows if NEVER_EVALUATED not in operator]
        if sample is not None and sample < len(jobs):
            jobs = random.Random(seed).sample(jobs, sample)
        left_out = [(job,) for job, _ in rows if job not in set(jobs)]
        for table in ("mutation_specs", "work_items"):
            data.executemany(f"DELETE FROM {table} WHERE job_id = ?", left_out)
    return len(jobs)


def survivors(session: Path) -> tuple[dict[str, int], list[str]]:
    """How many mutations had which end, and the differences of those that survived."""
    with closing(sqlite3.connect(session)) as data:
        rows = data.execute("SELECT test_outcome, diff FROM work_results").fetchall()
    ends: dict[str, int] = {}
    for outcome, _ in rows:
        name = str(outcome).lower().rpartition(".")[2]
        ends[name] = ends.get(name, 0) + 1
    alive = [diff for outcome, diff in rows if str(outcome).lower().endswith("survived")]
    return ends, sorted(alive)


def run(name: str, sample: int | None, seed: int, timeout: float) -> dict[str, object]:
    """Mutate one subject in a copy of the checkout, and report."""
    subject = SUBJECTS[name]
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / "checkout"
        kept = shutil.ignore_patterns(".*", "node_modules", "_build", "frontend", "codeclens-*")
        shutil.copytree(ROOT, folder, ignore=kept)
        config, session = Path(room) / "config.toml", Path(room) / "session.sqlite"
        config.write_text(configuration(subject, folder, timeout), encoding="utf-8")
        tool = [sys.executable, "-m", "cosmic_ray.cli"]

        def call(*arguments: str) -> None:
            subprocess.run([*tool, *arguments], cwd=folder, check=True, env=_environment(folder))

        call("init", str(config), str(session))
        count = chosen(session, sample, seed)
        call("baseline", str(config))  # the tests must pass before anything is changed
        call("exec", str(config), str(session))
        ends, alive = survivors(session)
    return {"subject": name, "mutations": count, "seed": seed, "ends": ends, "survivors": alive}


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", default=list(SUBJECTS), help=", ".join(SUBJECTS))
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="this many mutations of each subject")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for the tests")
    given = parser.parse_args(arguments)
    if strange := sorted(set(given.subjects) - set(SUBJECTS)):
        parser.error(f"unknown: {', '.join(strange)}; there are {', '.join(SUBJECTS)}")
    found = []
    for name in given.subjects:
        found.append(run(name, given.sample, given.seed, given.timeout))
        given.to.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"{name}: {found[-1]['ends']}")
        for diff in found[-1]["survivors"]:  # type: ignore[attr-defined]
            print(diff)


if __name__ == "__main__":
    main()
