"""Jobs: the checked request of an extraction, ready to compute shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from torch import nn

from codeclens.attribution import Attributor, Method, Selector, Site, Target
from codeclens.attribution.attributor import Reduce
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError, require_number, shortened, unknown
from codeclens.extraction.computing import Computing
from codeclens.extraction.data import as_samples
from codeclens.extraction.fingerprint import describe, differences, model_fingerprint, plain
from codeclens.extraction.layout import DTYPES, FORMAT, shard_rows
from codeclens.extraction.maps import positions_of
from codeclens.extraction.shards import ShardMaker, ShardOptions, versions
from codeclens.extraction.storage import Location
from codeclens.text import class_labels


@dataclass(frozen=True)
class ExtractionJob:
    """A request to `extract` or `plan`: the maker of its shards, and its settings in JSON.

    `any_shard_size` is true if the caller chose no shard size, so that a store keeps its own.
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
        baseline: Any,
        reduce: Reduce,
        grid: tuple[int, int] | None,
        output: Selector,
        batch_size: int,
        classes: Sequence[str] | None,
        shard_size: int | None,
        dtype: str,
        strict: bool,
        computing: Computing,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> ExtractionJob:
        """The job for these options of `extract`; raises CodeclensError as `extract` does."""
        require_number("batch_size", batch_size, least=1, whole=True)
        if shard_size is not None:
            require_number("shard_size", shard_size, least=1, whole=True)
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        samples = as_samples(data, model_kwargs)
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
        names = samples.classes if classes is None else class_labels(classes)
        # Everything that the numbers in a store depend on.
        settings = {
            "model": model_fingerprint(model),
            "data": samples.describe(),
            "method": describe(attributor.method),
            "target": describe(attributor.target),
            "baseline": describe(attributor.baseline),
            "output": describe(attributor.output),
            "sites": {
                site.key: {"heads": site.heads, "unit_axis": site.unit_axis}
                for site in attributor.sites
            },
            "positions": positions,
            "computing": computing.settings,
            "classes": None if names is None else list(names),
            "dtype": dtype,
            "shard_size": shard_rows(len(samples), shard_size, batch_size),
        }
        options = ShardOptions(batch_size, strict, positions, computing)
        maker = ShardMaker(samples, attributor, options)
        return ExtractionJob(maker, plain(settings), shard_size is None)

    def begin(self) -> dict[str, Any]:
        """The metadata of a new store."""
        return {
            "format": FORMAT,
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self.settings,
            "samples": len(self.maker.samples),
            "own_classes": self.maker.samples.own_classes,
            **plain(self.maker.learn()),
        }

    def require_same(self, path: Location, metadata: dict[str, Any]) -> None:
        """Raise CodeclensError if a store was made with other settings."""
        before, now = metadata["settings"], self.settings
        if self.any_shard_size:
            now = now | {"shard_size": before["shard_size"]}
        different = list(differences(before, now))
        if not different:
            return
        name, was, is_now = different[0]
        also = ""
        if list(before["sites"]) != list(now["sites"]):
            name = "sites"
            was, is_now = (", ".join(each["sites"]) for each in (before, now))
        elif others := ", ".join(other for other, _, _ in different[1:4]):
            also = f" (also different: {others})"
        raise CodeclensError(
            f'The store "{path}" was made with {name} = {shortened(was)}, but now it is '
            f"{shortened(is_now)}{also}; choose another path, or delete the store to start again."
        )
