"""`codeclens decompose`: the modes of every site of a store."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import codeclens as cl
from codeclens.analysis import save_table
from codeclens.cli.config import DecomposeSettings
from codeclens.cli.config_files import require_own, write_section
from codeclens.cli.terminal import say
from codeclens.decomposition import Estimator, save_modes
from codeclens.decomposition.decompose import chosen_sites
from codeclens.decomposition.registry import method_named
from codeclens.errors import CodeclensError
from codeclens.extraction import default_device
from codeclens.files import staged
from codeclens.progress import epochs, progress
from codeclens.reporting.run_files import save_sentences

# The settings on which modes depend.
_MADE_BY = (
    "store",
    "method",
    "n_modes",
    "expansion",
    "k",
    "view",
    "epochs",
    "seed",
    "seeds",
    "halves",
)


def run_decompose(settings: DecomposeSettings) -> None:
    """Decompose as the options say, and print a summary."""
    assert settings.store is not None
    assert settings.to is not None
    for name in (settings.method, *(settings.methods or [])):
        method_named(name)  # a name that no method has is reported before anything is opened
    store = cl.ContributionStore(settings.store)
    if settings.compare:
        run_comparison(settings, store, settings.to)
        return
    if settings.methods is not None:
        raise CodeclensError(
            "--methods says what --compare compares; pass --compare, or one --method."
        )
    method = method_of(settings)
    require_own(settings, settings.to, "modes", "*.safetensors", _MADE_BY)
    seeds = seeds_of(settings, [settings.seed])
    fits = len(chosen_sites(store, settings.sites)) * len(seeds) * (3 if settings.halves else 1)
    with progress("modes", None, "epochs") as advance:
        by_site = cl.decompose(
            store,
            method,
            sites=settings.sites,
            view=settings.view,
            seed=seeds,
            progress=epochs(advance, fits),
            workers=settings.workers,
            logs=settings.logs,
            device=settings.device or default_device(),
            halves=settings.halves,
        )
    for seed in seeds:
        modes = by_site.of_seed(seed)
        folder = settings.to / f"seed-{seed}" if settings.seeds else settings.to
        # Together, so that the modes of all sites are always those of one run.
        with staged(folder) as part:
            save_modes(modes, part)
            save_table(part / "quality.csv", modes.modes_dataframe())
        for found in modes.values():
            say(found.title())
            for sentence in found.sentences():
                say(f"  {sentence}")
    write_section(settings.to, settings)
    each = f", for {len(seeds)} seeds each," if len(seeds) > 1 else ""
    say(f"{len(by_site)} sites{each} written to {settings.to}")


def seeds_of(settings: DecomposeSettings, default: list[int]) -> list[int]:
    """The requested seeds; raises CodeclensError if one is repeated."""
    if not settings.seeds:
        return default
    seeds = [int(seed) for seed in settings.seeds.split(",")]
    if len(set(seeds)) < len(seeds):
        raise CodeclensError(
            f"--seeds {settings.seeds} names a seed twice; the same seed gives the same modes."
        )
    return seeds


def run_comparison(settings: DecomposeSettings, store: cl.ContributionStore, to: Path) -> None:
    """Compare methods as the options say, and write a table and a summary in words."""
    if settings.n_modes is not None or settings.epochs is not None:
        raise CodeclensError(
            "--compare sets the number of modes by --expansion and --k, and trains every method "
            "for its own epochs; leave --n-modes and --epochs out."
        )
    seeds = seeds_of(settings, [0, 1, 2])
    names = settings.methods
    kinds = None if names is None else [method_named(name) for name in names]
    with progress("methods", None, "methods") as advance:
        found = cl.compare(
            store,
            sites=settings.sites,
            view=settings.view,
            seeds=seeds,
            expansion=settings.expansion or 3,
            k=settings.k,
            kinds=kinds,
            progress=advance,
        )
    save_table(to / "comparison.csv", found.to_dataframe())
    save_sentences(to / "comparison.txt", found.sentences())
    write_section(to, settings)
    say(found)
    for reason in found.failed:
        say(f"Left out: {reason}")
    say("\n".join(found.sentences()))
    say(f"Means over {len(seeds)} seeds; written to {to / 'comparison.csv'}")


def method_of(settings: DecomposeSettings) -> Estimator:
    """The method of the options; options that were not given keep the method's defaults."""
    kind = method_named(settings.method)
    known = {field.name for field in fields(kind)}
    options: dict[str, Any] = {"n_modes": settings.n_modes, "expansion": settings.expansion}
    if settings.n_modes is None and settings.expansion is None:
        # A classical method has as many modes as an autoencoder has active modes in a sample.
        options |= {"expansion": 3} if "epochs" in known else {"n_modes": settings.k}
    if settings.epochs is not None:
        if "epochs" not in known:
            raise CodeclensError(
                f"--epochs {settings.epochs} means nothing to {settings.method}, which is not "
                "trained in epochs; leave it out."
            )
        options["epochs"] = settings.epochs
    if "k" in known:
        options["k"] = settings.k
    return kind(**options)
