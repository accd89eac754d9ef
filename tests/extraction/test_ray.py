"""The Ray engine on a cluster of two nodes: dead workers, object storage, the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from codeclens import CodeclensError, ContributionStore, RayEngine

SCRIPT = Path(__file__).with_name("ray_extraction.py")
NEEDED = ("ray", "moto", "s3fs")
Run = Callable[..., ContributionStore]
Content = Callable[[Path], dict[str, bytes]]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(find_spec(name) for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"
)
def test_a_cluster_makes_the_store_of_one_process(tmp_path: Path, content: Content) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    alone = content(tmp_path / "alone")
    assert len(ContributionStore(tmp_path / "alone")) == 2000 - found["skipped"] == 1993
    assert found["killed"]
    assert re.search(r"Shard \d failed \(The actor died", done.stderr)
    assert content(tmp_path / "cluster") == alone
    assert content(tmp_path / "objects") == alone
    assert ContributionStore(tmp_path / "cluster").verify() == {}
    done_by_then = [done for done, _ in found["told"]]
    assert done_by_then == sorted(done_by_then)
    assert (found["told"][0], found["told"][-1]) == ([0, 2000], [2000, 2000])
    assert found["another"].startswith("What `build` returns is another model: ")
    assert found["strict"].startswith('Sample "3.png" cannot be used')
    assert "Getting a worker ready failed 2 times on the Ray cluster" in found["deadly"]
    assert "too few for 4 workers" in found["crowded"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, r"workers \(=0\) must be at least 1"),
        ({"retries": -1}, r"retries \(=-1\) must be at least 0"),
    ],
)
def test_invalid_numbers_are_rejected(options: dict[str, Any], words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        RayEngine(**options)


def test_without_ray_the_error_names_the_package(
    run: Run, x: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("codeclens.extraction.ray.import_module", absent)
    with pytest.raises(CodeclensError, match=r'pip install "codeclens\[ray\]"'):
        run(x, tmp_path / "s.zarr", engine="ray")
