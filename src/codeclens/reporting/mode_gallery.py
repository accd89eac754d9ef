"""Mode galleries: for every mode of a site its samples, place maps, facts and measured effect."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from codeclens.analysis import Hierarchy, names_beyond_chance
from codeclens.attribution import (
    Contributions,
    Inputs,
    Method,
    Predicted,
    Selector,
    Target,
    contributions,
)
from codeclens.attribution.embeddings import starts_of
from codeclens.attribution.targets import bind
from codeclens.control import activation_at, outputs_under, removal
from codeclens.decomposition import Modes, require_modes_of
from codeclens.errors import CodeclensError, counted, require_number
from codeclens.extraction import ContributionStore, TextLines
from codeclens.extraction.data import as_samples
from codeclens.files import write_whole
from codeclens.labelled import Labelled, columns_of, save_table
from codeclens.pages import Figure, Image, MarkedText, Page, Section, Text
from codeclens.pages.document import Block
from codeclens.pages.words import percent
from codeclens.visualization.canvas import styled
from codeclens.visualization.fields import Box
from codeclens.visualization.galleries import Gallery, gallery
from codeclens.visualization.gallery_figure import gallery_figure
from codeclens.visualization.overlays import as_picture
from codeclens.visualization.place_maps import as_plane, place_maps, region, spread

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure as Drawing

UNNAMED = "no clear name"
# The smallest crop, as a share of the shorter side of the picture.
_SMALLEST_CROP = 1 / 7
_DPI = 150

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Question:
    """The settings of contributions: the method, the target, the baseline, the selected output."""

    method: Method | None = None
    target: Target | None = None
    baseline: Any = 0.0
    output: Selector = None


@dataclass(frozen=True, eq=False, repr=False)
class ModeGallery(Labelled):
    """The gallery of the modes of one site.

    `shown_modes` are the numbers of the modes, `samples` their samples by kind, `names` their names
    ("" where none is beyond chance), `pictures` what the network saw by row of the modes' samples,
    `texts` the tokens that a language model read.
    `maps[mode]` holds place maps of the mode's strongest samples by row, which sum to the
    contributions in `contribution` `(M, n)`; `effect` `(M, n)` is by how much the target falls in
    each of these samples when the mode is removed (NaN where there are fewer samples, or where it
    was not measured).
    """

    modes: Modes
    shown_modes: tuple[int, ...]
    samples: Gallery
    names: tuple[str, ...]
    pictures: Mapping[int, UInt8[np.ndarray, "height width 3"]]
    captions: Mapping[int, str]
    maps: Mapping[int, Mapping[int, Float[np.ndarray, "*place"]]]
    contribution: Float[np.ndarray, "mode rank"]
    effect: Float[np.ndarray, "mode rank"]
    unit: str = "logits"
    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """The site of the modes."""
        return self.modes.site

    def name(self, mode: int) -> str:
        """The name of a mode, or a statement that it has none."""
        return self.names[mode] or UNNAMED

    def facts(self, mode: int) -> list[str]:
        """Facts about a mode, in sentences: the evidence for its name, its numbers, its effect."""
        one = self.modes[mode]
        rank = self.shown_modes.index(mode)
        best = ""
        if one.best_class is not None:
            name, correlation = one.best_class
            best = f'; best class: "{name}", correlation {correlation:.2f}'
        sentences = [
            one.evidence
            if one.evidence
            else "Named by the classes with which its loadings correlate beyond "
            f'chance: "{self.names[mode]}"{best}.'
            if self.names[mode]
            else f"No clear name: its loadings correlate with no class beyond chance{best}."
        ]
        stable = "not measured" if np.isnan(one.stability) else f"{one.stability:.2f}"
        sentences.append(
            f"Active in {percent(one.firing_rate, 1)} of the samples; {percent(one.share, 1)} of "
            f"all that the modes explain; stability {stable}."
        )
        effect, contributed = self.effect[rank], self.contribution[rank]
        if np.isfinite(effect).any():
            sentences.append(
                f"In {counted(int(np.isfinite(effect).sum()), 'sample')} in which it is most "
                f"active, its mean measured effect is {_signed(np.nanmean(effect))} {self.unit} "
                f"({_signed(np.nanmin(effect))} to {_signed(np.nanmax(effect))}), its mean "
                f"contribution {_signed(np.nanmean(contributed))}."
            )
        return sentences

    def figure(self, mode: int, *, count: int = 6) -> Drawing:
        """The figure of one mode; raises CodeclensError for one that is not in the gallery."""
        if mode not in self.shown_modes:
            raise CodeclensError(f'Mode {mode} of "{self.site}" is not in this gallery.')
        maps = self.maps.get(mode, {})
        return gallery_figure(
            self.samples, mode, self.pictures, maps=maps, boxes=self.boxes(mode),
            captions=self.captions, loadings=np.asarray(self.modes.loadings[:, mode]),
            name=self.name(mode), facts=self.facts(mode), count=count, unit=self.unit,
        )  # fmt: skip

    def boxes(self, mode: int) -> dict[int, Box]:
        """The crop of each mapped sample: the box around the largest part of the region."""
        return {
            row: _box(spread(values, self.pictures[row].shape))
            for row, values in self.maps.get(mode, {}).items()
        }

    def section(self, *, count: int = 6, pictures_to: Path | None = None) -> Section:
        """A section of a page, with a part for each mode.

        With `pictures_to` the pictures are written into this folder too, with the table modes.csv;
        pictures of modes that an earlier gallery showed are removed from it at the end.
        """
        parts: list[Block | Section] = [Text(self.title() + ".")]
        for mode in self.shown_modes:
            facts = " ".join(self.facts(mode))
            if self.texts:
                marked = MarkedText(self.marked(mode, count=count), facts)
                parts.append(Section(f"Mode {mode}: {self.name(mode)}", [marked]))
                continue
            image = image_of(self.figure(mode, count=count))
            figure = Figure(image, facts, f"Samples of mode {mode} of {self.site}")
            parts.append(Section(f"Mode {mode}: {self.name(mode)}", [figure]))
            if pictures_to is not None:
                write_whole(pictures_to / f"mode-{mode:03}.jpg", image.data)
        if pictures_to is not None:
            save_table(pictures_to / "modes.csv", self.to_dataframe())
            shown = {f"mode-{mode:03}.jpg" for mode in self.shown_modes}
            for earlier in pictures_to.glob("mode-[0-9]*.jpg"):
                if re.fullmatch(r"mode-\d{3,}\.jpg", earlier.name) and earlier.name not in shown:
                    earlier.unlink(missing_ok=True)
        return Section(f"The modes of {self.site}", parts, finding=self.finding())

    def marked(self, mode: int, *, count: int = 6) -> list[tuple[str, list[tuple[str, float]]]]:
        """The texts of a mode by kind, each token with the contribution of the mode there.

        Only the strongest texts are mapped; the tokens of all others have the value 0.
        """
        rows = []
        for kind, found in self.samples[mode].items():
            for one in found[:count]:
                tokens = self.texts[one.sample]
                values = self.maps[mode].get(one.sample, np.zeros(len(tokens)))
                title = f"{kind.replace('_', ' ')}: {self.captions[one.sample]}".rstrip(": ")
                # Padding says nothing.
                pairs = list(zip(tokens, map(float, values), strict=True))
                rows.append((title, [pair for pair in pairs if pair[0]]))
        return rows

    def finding(self) -> str:
        """How many modes have a name, and which has the largest effect, in one sentence."""
        named = sum(bool(self.names[mode]) for mode in self.shown_modes)
        text = f"{named} of {counted(len(self.shown_modes), 'mode')} at `{self.site}` have a name"
        if not np.isfinite(self.effect).any():
            return f"{text}."
        known = np.isfinite(self.effect)
        sums = np.where(known, self.effect, 0).sum(axis=1)
        means = sums / np.maximum(known.sum(axis=1), 1)
        best = int(np.abs(means).argmax())
        mode = self.shown_modes[best]
        return (
            f"{text}; the largest measured effect is that of mode {mode} ({self.name(mode)}): "
            f"{_signed(float(means[best]))} {self.unit} in its strongest samples."
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode."""
        import pandas

        rows: list[dict[str, Any]] = []
        for rank, mode in enumerate(self.shown_modes):
            one = self.modes[mode]
            best, correlation = one.best_class or ("", float("nan"))
            known = np.isfinite(self.effect[rank])
            rows.append(
                {
                    "site": self.site, "mode": mode, "name": self.names[mode],
                    "best_class": best, "correlation": correlation,
                    "measured_effect": _mean(self.effect[rank]),
                    "contribution": _mean(self.contribution[rank]),
                    "samples": int(known.sum()),
                    "active": one.firing_rate, "share": one.share, "stability": one.stability,
                }
            )  # fmt: skip
        return pandas.DataFrame(rows)

    def to_xarray(self) -> xarray.Dataset:
        """The table by mode, with effects and contributions by rank of the sample."""
        rows = self.to_dataframe().to_dict("records")
        columns = columns_of([{str(k): v for k, v in row.items()} for row in rows], "mode_shown")
        import xarray

        by_sample = {
            name: (("mode_shown", "rank"), getattr(self, name))
            for name in ("effect", "contribution")
        }
        return xarray.Dataset(
            {**columns, **{f"{name}_by_sample": values for name, values in by_sample.items()}}
        )

    def title(self) -> str:
        """The site, and how many modes."""
        whole = "" if len(self.shown_modes) == len(self.modes) else f" of {len(self.modes)}"
        return f"Gallery of {len(self.shown_modes)}{whole} modes of {self.site}"


def mode_gallery(
    store: ContributionStore,
    modes: Modes,
    model: nn.Module,
    images: Any,
    question: Question | None = None,
    *,
    count: int = 6,
    most: int | None = None,
    effects: bool = True,
    hierarchy: Hierarchy | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    batch_size: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> ModeGallery:
    """Gather what shows each mode of one site: samples, place maps, crops and measured effects.

    `store` is the store in which the `modes` were found, `images` the data of its extraction, and
    `question` the settings of that extraction of the `model`. For the `count` samples in which a
    mode is most active, contributions are computed again, at all positions of the site, and the
    effect of removing the mode is measured. `most` limits the gallery to the strongest modes.
    `mean` and `std` are those of the network's transform, to show pictures in their true colours.
    Modes are named by the classes (with a `hierarchy` also by the superclasses) with which they
    correlate beyond chance.

    Texts (`TextLines`) are shown by their tokens, with the contribution of the mode at each.

    Raises CodeclensError for modes and images of another store, and for data that are neither
    images nor texts.
    """
    require_number("count", count, least=1, whole=True)
    require_modes_of(store, {modes.site: modes})
    asked = Question() if question is None else question
    names = modes.names or tuple(names_beyond_chance(modes, hierarchy))
    if hierarchy is not None and modes.classes is not None:
        modes = replace(modes, classes=tuple(hierarchy.titles(list(modes.classes))))
    samples = gallery(modes, store, count=count, seed=seed)
    source = as_samples(images)
    size = len(modes) if most is None else min(most, len(modes))
    shown = tuple(int(mode) for mode in np.argsort(-modes.share, kind="stable")[:size])
    wanted = {one.sample for mode in shown for found in samples[mode].values() for one in found}
    x = {row: _input_at(source, store, row) for row in sorted(wanted)}
    strongest = {mode: [one.sample for one in samples[mode]["strongest"]] for mode in shown}
    rows = sorted({row for found in strongest.values() for row in found})
    total = len(rows) + (len(shown) if effects else 0)
    found = _contributions(model, x, rows, modes.site, asked, batch_size, progress, total)
    maps: dict[int, dict[int, Any]] = {mode: {} for mode in shown}
    texts = _texts(source, store, x)
    contributed, effect = (np.full((len(shown), count), np.nan) for _ in range(2))
    baseline = _resting(model, _batch(x, rows[:1]), found, modes.site, asked) if rows else None
    for rank, mode in enumerate(shown):
        here = strongest[mode]
        if not here:
            continue
        part = _of_rows(found, [rows.index(row) for row in here])
        places = place_maps(modes, part, [mode])
        contributed[rank, : len(here)] = places.contribution[:, 0]
        for place, row in enumerate(here):
            values = places.of(place, mode)
            plane = values if row in texts and values.ndim == 1 else as_plane(values)
            if plane is not None:
                maps[mode][row] = plane
        if effects:
            batch = _batch(x, here)
            effect[rank, : len(here)] = _effects(model, batch, modes, mode, part, baseline, asked)
            if progress is not None:
                progress(len(rows) + rank + 1, total)
    return ModeGallery(
        modes, shown, samples, names,
        {row: picture_of(v, mean, std) for row, v in x.items() if isinstance(v, Tensor)},
        _captions(modes, x, texts), maps, contributed, effect, _unit(asked.target), texts,
    )  # fmt: skip


def gallery_page(
    store: ContributionStore,
    modes: Mapping[str, Modes],
    model: nn.Module,
    images: Any,
    question: Question | None = None,
    *,
    to: str | os.PathLike[str],
    sites: Iterable[str] | None = None,
    count: int = 6,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Write a page of all modes into the folder `to`, and a picture of each; returns the page.

    The page is gallery.html; the pictures of a site are in a folder of its name, with a table.
    Other arguments, and errors, are those of `mode_gallery`; `sites` selects some sites.

    >>> import tempfile
    >>> import codeclens as cl
    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)]
    >>> model, images = nn.Sequential(*layers), torch.rand(20, 1, 6, 6)
    >>> folder = Path(tempfile.mkdtemp())
    >>> store = cl.extract(model, images, sites="1", to=folder / "contributions.zarr")
    >>> modes = cl.decompose(store, cl.NMF(n_modes=3))
    >>> cl.gallery_page(store, modes, model, images, to=folder / "gallery", count=2).name
    'gallery.html'
    """
    chosen = _chosen(modes, sites)
    galleries = []
    for place, one in enumerate(chosen.values()):
        step = None if progress is None else _shifted(progress, place, len(chosen))
        galleries.append(
            mode_gallery(store, one, model, images, question, count=count, progress=step, **options)
        )
    folder = Path(to)
    sections = [
        found.section(count=count, pictures_to=folder / re.sub(r"[^\w.-]", "_", found.site))
        for found in galleries
    ]
    page = Page(
        "The modes, one by one",
        subtitle=f"{counted(len(store), 'sample')}, {counted(len(chosen), 'site')}",
        opening=[Text(EXPLANATION, "small")],
        sections=sections,
    )
    return page.save(folder / "gallery.html")


EXPLANATION = (
    "For each mode: the samples in which it is most active; the contribution of the mode at each "
    "place of the site, with an outline around half of it, and these regions enlarged; active "
    "samples that differ most in other modes; typical samples; and near misses, in which the mode "
    "is inactive although the contributions are similar. Orange supports the target, blue opposes "
    "it. The measured effect is by how much the target falls when exactly the mode is removed; it "
    "has the sign of a contribution."
)


def image_of(figure: Drawing) -> Image:
    """A figure with photographs as JPEG, which is much smaller than SVG."""
    import io

    from PIL import Image as Pillow

    stream = io.BytesIO()
    with styled():
        figure.savefig(stream, format="png", dpi=_DPI)
    picture = Pillow.open(stream)
    return Image.of_photograph(picture, width=round(picture.width * 96 / _DPI))


def _chosen(modes: Mapping[str, Modes], sites: Iterable[str] | None) -> dict[str, Modes]:
    wanted = list(modes) if sites is None else [sites] if isinstance(sites, str) else list(sites)
    strange = [site for site in wanted if site not in modes]
    if strange or not wanted:
        known = ", ".join(f'"{site}"' for site in modes) or "no site"
        which = f', not of "{strange[0]}"' if strange else ""
        raise CodeclensError(f"There are modes of {known}{which}.")
    return {site: modes[site] for site in wanted}


def _shifted(progress: Progress, place: int, count: int) -> Progress:
    """The progress of one site as a part of all sites, in thousandths."""

    def step(done: int, total: int) -> None:
        progress(round(1000 * (place + done / max(total, 1))), 1000 * count)

    return step


def image_at(source: Any, store: ContributionStore, row: int) -> Tensor:
    """The image of a row of a store; raises CodeclensError for other data."""
    found = _input_at(source, store, row)
    if isinstance(found, Inputs):
        raise CodeclensError(f'Sample "{store.key[row]}" is no image, which is needed here.')
    return found


def _input_at(source: Any, store: ContributionStore, row: int) -> Tensor | Inputs:
    index, key = int(store.sample[row]), str(store.key[row])
    if not index < len(source) or source.key(index) != key:
        raise CodeclensError(
            f'Sample "{key}" of the store is not sample {index} of these images; pass the images '
            "of the extraction, with the same limit."
        )
    sample = source.load(index)
    if sample.image is None:
        raise CodeclensError(f'Sample "{sample.key}" cannot be read: {sample.reason}.')
    if isinstance(sample.image, Inputs) and isinstance(source, TextLines):
        return sample.image
    if not isinstance(sample.image, Tensor) or sample.image.ndim != 3:
        shape = getattr(sample.image, "shape", None)
        words = "is no image" if shape is None else f"has shape {tuple(shape)}"
        raise CodeclensError(
            f'Sample "{sample.key}" {words}; a gallery needs images (channels, rows, columns), or '
            "TextLines."
        )
    image: Tensor = sample.image
    return image


def _texts(source: Any, store: ContributionStore, rows: Iterable[int]) -> dict[int, list[str]]:
    if not isinstance(source, TextLines):
        return {}
    return {row: source.words(int(store.sample[row])) for row in rows}


def _batch(x: Mapping[int, Any], rows: Sequence[int]) -> Any:
    """The samples of these rows as one batch."""
    found = [x[row] for row in rows]
    return Inputs.joined(found) if isinstance(found[0], Inputs) else torch.stack(found)


def _contributions(
    model: nn.Module,
    x: Mapping[int, Any],
    rows: Sequence[int],
    site: str,
    asked: Question,
    batch_size: int,
    progress: Progress | None,
    total: int,
) -> Contributions:
    """The contributions at all places of the site, for the images of these rows."""
    parts = []
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    for start in range(0, len(rows), batch_size):
        batch = _batch(x, rows[start : start + batch_size]).to(device)
        parts.append(
            contributions(
                model, batch, sites=site, method=asked.method, target=asked.target or Predicted(),
                baseline=asked.baseline, reduce=None, output=asked.output,
            )
        )  # fmt: skip
        if progress is not None:
            progress(start + len(batch), total)
    if not parts:
        raise CodeclensError(f'No mode of "{site}" is active in any sample.')
    return Contributions.joined(parts)


def _of_rows(found: Contributions, places: Sequence[int]) -> Contributions:
    """The contributions of some samples of a batch."""
    sites = {}
    for key, one in found.items():
        tensors: dict[str, Any] = {
            name: None if getattr(one, name) is None else getattr(one, name)[list(places)]
            for name in ("positive", "negative", "activation", "completeness", "full")
        }
        sites[key] = replace(one, **tensors)
    per_sample = ("target", "baseline_target", "prediction", "estimate")
    target, start, prediction, estimate = (getattr(found, n)[list(places)] for n in per_sample)
    return Contributions(sites, target, start, prediction, estimate)


def _resting(model: nn.Module, x: Any, found: Contributions, site: str, asked: Question) -> Tensor:
    starts = starts_of(model, x, asked.baseline)
    at = [activation_at(model, found[site].site, start) for start in starts]
    return torch.stack(at).mean(dim=0)


def _effects(
    model: nn.Module,
    x: Any,
    modes: Modes,
    mode: int,
    found: Contributions,
    baseline: Any,
    asked: Question,
) -> Float[np.ndarray, " sample"]:
    """By how much the target of each image falls when the mode is removed."""
    cut = removal(modes, mode, found, baseline=baseline)
    outputs = torch.from_numpy(outputs_under(model, x, [cut], output=asked.output))
    bound = bind(asked.target or Predicted(), outputs[0], None, x)
    before, after = (bound(one).double() for one in outputs)
    return np.asarray((before - after).numpy())


def _captions(modes: Modes, rows: Iterable[int], texts: Mapping[int, Any]) -> dict[int, str]:
    """The class of each sample where it is known, else its key, of a text the line."""
    classes = None if modes.classes is None else modes.classes
    captions = {}
    for row in rows:
        label = -1 if modes.labels is None else int(modes.labels[row])
        if label >= 0:
            captions[row] = f"class {label}" if classes is None else classes[label]
        else:
            key = "" if modes.keys is None else str(modes.keys[row])
            captions[row] = f"line {key.partition(':')[0]}" if row in texts else Path(key).name
    return captions


def picture_of(
    x: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None
) -> UInt8[np.ndarray, "row column 3"]:
    """The network's input in true colours, or with stretched contrast if these are unknown."""
    if mean is not None and std is not None:
        return as_picture(x, mean, std)
    values = x.detach().cpu().double()
    values = values if len(values) in (1, 3) else values.mean(dim=0, keepdim=True)
    low, high = values.min(), values.max()
    return as_picture((values - low) / max(float(high - low), 1e-12))


def _box(density: Float[np.ndarray, "height width"]) -> Box:
    """The box around the largest connected part of the region that holds half of a map."""
    from scipy import ndimage

    parts, count = ndimage.label(region(density))
    size = max(8, round(_SMALLEST_CROP * min(density.shape)))
    if count:
        held = ndimage.sum_labels(np.abs(density), parts, np.arange(1, count + 1))
        rows, columns = ndimage.find_objects(parts)[int(np.argmax(held))]
    else:
        rows, columns = (slice(0, side) for side in density.shape)
    sides = []
    # Square, so that crops of one row have one size.
    wide = max(rows.stop - rows.start, columns.stop - columns.start, size)
    for part, limit in zip((rows, columns), density.shape, strict=True):
        length = min(wide, limit)
        start = min(max((part.start + part.stop - length) // 2, 0), limit - length)
        sides.append((start, start + length))
    (top, bottom), (left, right) = sides
    return Box(top, left, bottom, right)


def _unit(target: Target | None) -> str:
    known = {"logits": "logits", "probabilities": "probability"}
    return known.get(getattr(target or Predicted(), "of", ""), "units")


def _mean(values: Float[np.ndarray, " rank"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _signed(value: float) -> str:
    return f"{round(float(value), 2) + 0.0:+.2f}".replace("-", "−")
