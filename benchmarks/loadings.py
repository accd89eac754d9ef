"""Memory and time of sparse loadings: many sites, modes and samples, with synthetic codes.

A process of its own makes loadings block by block, as `decompose` does, for all sites at once, then
reads them as everything that uses them: statistics of modes, correlations with classes, strongest
samples, single modes, and one site written and read again. What counts is the peak of its memory
above that after the imports. Then compressed rows against compressed columns: what each takes to
read blocks of rows, single modes, and the sums that statistics need.

    python -m benchmarks.loadings
    python -m benchmarks.loadings --sites 4 --samples 20000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from codeclens.decomposition import KMeans, Loadings, Modes
from codeclens.visualization import exemplars

MEMORY_NEEDED = 500_000_000
UNITS, CLASSES, PART = 64, 100, 4096


def codes(samples: int, modes: int, active: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of dense codes `(n, K)` in which so many modes of a sample are active."""
    random = np.random.default_rng(seed)
    for start in range(0, samples, PART):
        count = min(PART, samples - start)
        block = np.zeros((count, modes), np.float32)
        where = random.integers(modes, size=(count, active))
        values = random.gamma(1.0, size=where.shape).astype(np.float32)
        np.put_along_axis(block, where, values, 1)
        yield block


def resident(field: str) -> int:
    """The memory of this process in bytes: "VmRSS" now, "VmHWM" at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith(f"{field}:")]
    return 1024 * int(line.split()[1])


def use(sites: int, samples: int, modes: int, active: int) -> dict[str, float]:
    """Make and use the modes of all sites; memory in bytes, and CPU seconds of each use."""
    random = np.random.default_rng(0)
    fitted = KMeans(n_modes=modes).fit(random.random((2 * modes, UNITS)))
    labels = random.integers(CLASSES, size=samples)
    before, found = resident("VmRSS"), {}

    def timed(what: str, do: Callable[[], object]) -> None:
        start = time.process_time()
        do()
        found[f"{what}, CPU s"] = time.process_time() - start

    kept: list[Modes] = []

    def make() -> None:
        for site in range(sites):
            loadings = Loadings.stacked(codes(samples, modes, active, site), modes)
            kept.append(Modes(str(site), "positive", fitted, loadings, labels))

    timed("make the modes of all sites", make)
    found["loadings of all sites, MB"] = sum(Loadings.of(m.loadings).nbytes for m in kept) / 1e6
    timed("shares and firing rates", lambda: [(m.share, m.firing_rate) for m in kept])
    timed("correlations with classes", lambda: [m.class_correlation() for m in kept])
    timed("strongest samples", lambda: [exemplars(m) for m in kept])
    timed("every mode once", lambda: [mode.loadings.max() for m in kept for mode in m])
    with tempfile.TemporaryDirectory() as folder:
        file = kept[0].save(Path(folder) / "site")
        found["file of a site, MB"] = file.stat().st_size / 1e6
        timed("read a site", lambda: kept.append(Modes.load(file)))
    found["memory of the process at its peak, MB"] = resident("VmHWM") / 1e6
    found["of it added after imports and the fit, MB"] = (resident("VmHWM") - before) / 1e6
    return found


def forms(samples: int, modes: int, active: int) -> dict[str, tuple[float, float]]:
    """CPU seconds from compressed rows and from compressed columns, for each way to read."""
    from scipy.sparse import csc_array

    rows = Loadings.stacked(codes(samples, modes, active, 0), modes).sparse
    columns = csc_array(rows)
    some = np.random.default_rng(0).integers(samples, size=(50, 32))

    def seconds(do: Callable[[], object]) -> float:
        taken = []
        for _ in range(3):
            start = time.process_time()
            do()
            taken.append(time.process_time() - start)
        return float(np.median(taken))

    ways: dict[str, Callable[[object], object]] = {
        "all rows in blocks": lambda A: [
            A[start : start + PART].toarray() for start in range(0, samples, PART)
        ],
        "50 times 32 rows": lambda A: [A[chosen].toarray() for chosen in some],
        "50 modes": lambda A: [A[:, [mode]].toarray() for mode in range(50)],
        "sums of modes": lambda A: A.sum(axis=0),
    }  # fmt: skip
    found = {
        what: (seconds(lambda read=read: read(rows)), seconds(lambda read=read: read(columns)))
        for what, read in ways.items()
    }
    return found | {"rows to columns": (seconds(lambda: csc_array(rows)), 0.0)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=16)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--modes", type=int, default=1500)
    parser.add_argument("--active", type=int, default=18)
    given = parser.parse_args(arguments)
    shape = given.samples, given.modes, given.active
    print(f"{given.sites} sites, {shape[0]:,} samples × {shape[1]:,} modes, {shape[2]} active")
    code = (
        f"import json, benchmarks.loadings as b; print(json.dumps(b.use({given.sites}, *{shape})))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    for what, value in json.loads(done.stdout).items():
        print(f"  {what}: {value:.2f}")
    print(f"  allowed: {MEMORY_NEEDED / 1e6:.0f} MB")
    for what, (rows, columns) in forms(*shape).items():
        print(f"  {what}: compressed rows {rows:.3f} s, columns {columns:.3f} s", flush=True)


if __name__ == "__main__":
    main()
