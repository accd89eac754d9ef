"""A blind test of the names of modes: pages of exemplars, each with its own name or with another's.

    CODECLENS_BENCH=… python -m benchmarks.naming_test page --folder cache --to test
    python -m benchmarks.naming_test score --to test

`page` draws modes of the last six blocks that have a name, and writes `test.html` with their
strongest photographs, `answers.csv` to fill in, and `key.json`, which nobody reads before. In half
of the items the name is that of another mode. For each item write `right`, `half` or `wrong` into
the column `answer`. `score` compares the answers for own names with those for others' names: names
are worth something if own names are right far more often. The pages hold photographs of the bench,
so they are for use on this machine only.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import codeclens as cl
from benchmarks.ready_modes import SEED, Groups, key_of, named, photographs
from codeclens.pages import Figure, Page, Section, Text
from codeclens.pages import Image as PageImage

LAST = ("blocks.4.2", "blocks.5.0", "blocks.5.1", "blocks.5.2", "blocks.5.3", "blocks.6.0")
ANSWERS = ("right", "half", "wrong")
SIDE = 120


def whole(folder: Path) -> dict[str, cl.Modes]:
    """The named modes of the last blocks, with the loadings of all photographs."""
    groups = Groups.of(cl.ContributionStore(folder / "contributions.zarr"))
    return {site: named(cl.Modes.load(folder / "modes" / site), groups) for site in LAST}


def strip(modes: cl.Modes, mode: int, files: dict[str, Path], count: int) -> Image.Image:
    """The photographs in which a mode is most active, side by side."""
    assert modes.keys is not None
    rows = np.argsort(-np.asarray(modes.loadings[:, mode]), kind="stable")[:count]
    sheet = Image.new("RGB", (SIDE * count, SIDE), "white")
    for place, row in enumerate(rows):
        with Image.open(files[str(modes.keys[row])]) as image:
            small = image.convert("RGB").resize((SIDE - 4, SIDE - 4))
        sheet.paste(small, (SIDE * place + 2, 2))
    return sheet


def page(folder: Path, to: Path, items: int, count: int, seed: int) -> None:
    """Draw the items and write the page, the answers to fill in, and the key."""
    random = np.random.default_rng(seed)
    files = {key_of(one.key): one.file for one in photographs()}
    found = whole(folder)
    those = [(s, k) for s, one in found.items() for k, name in enumerate(one.names or ()) if name]
    drawn = [those[i] for i in random.permutation(len(those))[:items]]
    own = random.permutation(np.arange(len(drawn)) % 2 == 0)
    to.mkdir(parents=True, exist_ok=True)
    key, blocks = [], []
    for number, ((site, mode), mine) in enumerate(zip(drawn, own, strict=True)):
        true = found[site][mode].name
        others = [found[s][k].name for s, k in drawn if found[s][k].name != true]
        name = true if mine else others[int(random.integers(len(others)))]
        image = strip(found[site], mode, files, count)
        file = to / f"item-{number:03}.jpg"
        image.save(file, quality=85)
        blocks.append(
            Figure(
                PageImage(file.read_bytes(), "image/jpeg", image.width, image.height),
                f'{number}: "{name}"?',
            )
        )
        key.append({"item": number, "site": site, "mode": mode, "name": name, "own": bool(mine)})
    text = Text("Does the name fit the photographs? Write right, half or wrong into answers.csv.")
    Page("Names of modes", [Section("Items", [text, *blocks])]).save(to / "test.html")
    (to / "key.json").write_text(json.dumps(key, indent=1))
    with (to / "answers.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["item", "answer"], *([n, ""] for n in range(len(key)))])


def sheets(folder: Path, to: Path, items: int, count: int, seed: int) -> None:
    """Contact sheets of drawn modes, named or not, with their names in `names.json` apart."""
    random = np.random.default_rng(seed)
    files = {key_of(one.key): one.file for one in photographs()}
    found = whole(folder)
    every = [(site, k) for site, one in found.items() for k in range(len(one))]
    drawn = [every[i] for i in random.permutation(len(every))[:items]]
    to.mkdir(parents=True, exist_ok=True)
    for first in range(0, items, 15):
        part = drawn[first : first + 15]
        sheet = Image.new("RGB", (SIDE * count + 30, SIDE * len(part)), "white")
        for place, (site, mode) in enumerate(part):
            sheet.paste(strip(found[site], mode, files, count), (30, SIDE * place))
            ImageDraw.Draw(sheet).text((4, SIDE * place + 50), str(first + place), fill="black")
        sheet.save(to / f"sheet-{first // 15}.jpg", quality=85)
    names = [
        {
            "item": n,
            "site": s,
            "mode": k,
            "name": found[s][k].name,
            "evidence": found[s][k].evidence,
        }
        for n, (s, k) in enumerate(drawn)
    ]
    (to / "names.json").write_text(json.dumps(names, indent=1, ensure_ascii=False))


def score(to: Path) -> dict[str, dict[str, int]]:
    """Count the answers for own and for others' names, print them, and return them."""
    key = {int(one["item"]): bool(one["own"]) for one in json.loads((to / "key.json").read_text())}
    counts = {whose: dict.fromkeys(ANSWERS, 0) for whose in ("own", "other")}
    with (to / "answers.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            answer = row["answer"].strip().lower()
            if answer in ANSWERS:
                counts["own" if key[int(row["item"])] else "other"][answer] += 1
            elif answer:
                raise SystemExit(f'item {row["item"]}: "{answer}" is none of {", ".join(ANSWERS)}.')
    for whose, found in counts.items():
        print(f"{whose} names: " + ", ".join(f"{n} {answer}" for answer, n in found.items()))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("step", choices=["page", "sheets", "score"])
    parser.add_argument("--folder", type=Path, help="the folder of benchmarks.ready_modes")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--count", type=int, default=8, help="photographs of an item")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    if options.step == "score":
        score(options.to)
        return
    if options.folder is None:
        parser.error("--folder: where are the whole modes, with all their photographs?")
    step = page if options.step == "page" else sheets
    step(options.folder, options.to, options.items, options.count, options.seed)


if __name__ == "__main__":
    main()
