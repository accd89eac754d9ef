"""Check an installation of codeclens with the dependencies of the core alone, and use it."""

from __future__ import annotations

import re
import sys
import tempfile
from importlib.metadata import distributions, requires
from pathlib import Path

import torch

import codeclens as cl

asked = [line for line in requires("codeclens") or [] if "extra ==" in line]
optional = {re.split(r"[^\w.-]", line)[0].lower() for line in asked} - {"codeclens"}
# Packages that an extra names and the core brings along.
brought = {"fsspec", "httpx"}
present = {found.metadata["Name"].lower() for found in distributions()}
if extra := sorted(optional & present - brought):
    sys.exit(f"the core installed what belongs to extras: {', '.join(extra)}")
if Path(cl.__file__).is_relative_to(Path(__file__).parents[1] / "src"):
    sys.exit("the checkout was imported, not the installed package")

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
x = torch.randn(64, 6)
with tempfile.TemporaryDirectory() as folder:
    store = cl.extract(model, x, sites="1", to=f"{folder}/store.zarr", method=cl.Conductance(2))
    modes = cl.decompose(store, cl.NMF(n_modes=3), seed=0)
    page = cl.report(store, modes, to=f"{folder}/report.html")
    if Path(page).stat().st_size < 1000:
        sys.exit("the report is empty")
    r2 = modes["1"].r2
gap = cl.contributions(model, x, sites=["1"])["1"].completeness.abs().max().item()
if gap > 1e-5:
    sys.exit(f"contributions miss the change of the target by {gap}")
print(f"core only: contributions sum to the target within {gap:.1e}, modes have R² {r2:.2f}")
