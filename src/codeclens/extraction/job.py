"""Jobs: what an extraction was asked to do, checked, and ready to make shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from torch import Tensor, nn

from codeclens.attribution import Attributor, Baseline, Method, Selector, Site, Target
from codeclens.attribution.attributor import Reduce
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing
from codeclens.extraction.data import Samples, as_samples
from codeclens.extraction.fingerprint import describe, differences, model_fingerprint, plain
from codeclens.extraction.layout import DTYPES, FORMAT, shard_rows
from codeclens.extraction.maps import Positions, positions_of
from codeclens.extraction.shards import ShardMaker, versions
from codeclens.extraction.storage import Place

_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Job:
    """What `extract` or `plan` was asked for: who makes the shards, and its settings in JSON.

    With `any_shard_size` none was asked for, so that a store goes on with its own.
    """

    maker: ShardMaker
    settings: dict[str, Any]
    any_shard_size: bool

    @staticmethod
    def of(
        model: nn.Module,
        data: Any,
        *,
        sites: str | Site | Iterable[str | Site],
        method: Method | None,
        target: Target | Bound | None,
        baseline: float | Tensor | Baseline,
        reduce: Reduce,
        grid: tuple[int, int] | None,
        output: Selector,
        batch_size: int,
        classes: Sequence[str] | None,
        shard_size: int | None,
        dtype: str,
        strict: bool,
        computing: Computing,
    ) -> Job:
        """The job that the options of `extract` mean; raises CodeclensError as that does."""
        _require_options(batch_size, shard_size, dtype)
        samples = as_samples(data)
        positions = positions_of(reduce, grid)
        attributor = Attributor(
            model,
            sites=sites,
            method=method,
            target=target,
            baseline=baseline,
            reduce="sum" if positions is None else None,
            output=output,
        )
        names = samples.classes if classes is None else [str(name) for name in classes]
        rows = shard_rows(len(samples), shard_size, batch_size)
        # Before the maker, which may compute with a copy of the model.
        settings = _settings(attributor, samples, names, dtype, rows, positions, computing)
        maker = ShardMaker(samples, attributor, batch_size, strict, positions, computing)
        return Job(maker, settings, shard_size is None)

    def begin(self) -> dict[str, Any]:
        """The metadata of a new store."""
        return {
            "format": FORMAT,
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self.settings,
            "samples": len(self.maker.samples),
            **plain(self.maker.learn()),
        }

    def require_same(self, path: Place, metadata: dict[str, Any]) -> None:
        """Raise CodeclensError where a store was made with other settings."""
        before = metadata["settings"]
        now = self.settings
        if self.any_shard_size:
            now = now | {"shard_size": before["shard_size"]}
        different = list(differences(before, now))
        if not different:
            return
        sites = [list(each["sites"]) for each in (before, now)]
        if sites[0] != sites[1]:
            raise CodeclensError(
                f'The store "{path}" was made for the sites {_short(", ".join(sites[0]))}, and now '
                f"they are {_short(', '.join(sites[1]))}; choose another path, or delete the store "
                "to begin again."
            )
        name, was, is_now = different[0]
        others = ", ".join(other for other, _, _ in different[1:4])
        also = f" (also different: {others})" if others else ""
        raise CodeclensError(
            f'The store "{path}" was made with {name} = {_short(was)}, and now it is '
            f"{_short(is_now)}{also}; choose another path, or delete the store to begin again."
        )


def _settings(
    attributor: Attributor,
    samples: Samples,
    classes: Sequence[str] | None,
    dtype: str,
    rows: int,
    positions: Positions,
    computing: Computing,
) -> dict[str, Any]:
    """Everything that the numbers in a store depend on, in JSON."""
    sites = {
        site.key: {"heads": site.heads, "unit_axis": site.unit_axis} for site in attributor.sites
    }
    settings = {
        "model": model_fingerprint(attributor.model),
        "data": samples.describe(),
        "method": describe(attributor.method),
        "target": describe(attributor.target),
        "baseline": describe(attributor.baseline),
        "output": describe(attributor.output),
        "sites": sites,
        "positions": positions,
        "computing": computing.settings,
        "classes": None if classes is None else list(classes),
        "dtype": dtype,
        "shard_size": rows,
    }
    found: dict[str, Any] = plain(settings)
    return found


def _require_options(batch_size: int, shard_size: int | None, dtype: str) -> None:
    for name, number in (("batch_size", batch_size), ("shard_size", shard_size)):
        if number is not None and number < 1:
            raise CodeclensError(f"{name}={number} holds no samples; pass a positive number.")
    if dtype not in DTYPES:
        raise CodeclensError(f"dtype={dtype!r} is not known; use one of {', '.join(DTYPES)}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
