"""Python that computes what a view shows: each view can be repeated outside the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeclens.explorer.run_folder import RunFolder

_OPEN = "import codeclens as cl\n\nstore = cl.ContributionStore({store!r})\n"
_MODES = "modes = cl.load_modes({modes!r})\n"

_BODIES = {
    "overview": "from codeclens.reporting import gaps\n\n"
    "result = [(gap.site, gap.median, gap.high) for gap in gaps(store)]\n",
    "story": "from codeclens.reporting import gap_sentence, gaps\n\n"
    "result = gap_sentence(gaps(store))\n",
    "layers": "result = cl.layer_statistics(store).to_dataframe()\n",
    "modes": "result = modes[{0!r}].to_dataframe()\n",
    "mode": "mode = modes[{0!r}][{1}]\n"
    "result = mode.share, mode.firing_rate, mode.best_class, mode.weights, mode.loadings\n",
    "kinds": "from codeclens.visualization.galleries import gallery\n\n"
    "result = gallery(modes[{0!r}], store, count=6)[{1}]\n",
    "samples": "result = store.to_dataframe()\n",
    "sample": "from codeclens.decomposition import mode_shares\n\n"
    "result = {{}}\n"
    "for site, here in modes.items():\n"
    '    positive = store.view(site, "positive", [{0}]).astype(float)\n'
    '    negative = -abs(store.view(site, "negative", [{0}]).astype(float))\n'
    '    activation = store.view(site, "activation", [{0}]).astype(float)\n'
    "    shares = mode_shares(here, positive, negative, activation, most=len(here))\n"
    "    result[site] = shares.to_dataframe()\n",
    "similar": "loadings = modes[{0!r}].loadings[:, {1}]\n"
    "active = loadings.nonzero()[0]\n"
    "result = sorted(active, key=lambda row: abs(float(loadings[row]) - {2}))[:12]\n",
    "flow": "import pandas\n\nresult = pandas.read_csv({analysis!r})\n",
    "control": "from pathlib import Path\n\n"
    "from codeclens.control.filing import Filing\n\n"
    "result = list(Filing(Path({control!r})).all())\n",
    "compare": "import numpy as np\n\n"
    "one, other = (np.asarray(modes[site].loadings, float) for site in ({0!r}, {1!r}))\n"
    "joint = np.corrcoef(one.T, other.T)[: one.shape[1], one.shape[1] :]\n"
    "result = joint  # row: mode of the first site, column: mode of the second\n",
}


def code_of(run: RunFolder, kind: str, parts: Sequence[str]) -> str:
    """Python for a view, which leaves what the view shows in `result`; "" where there is none."""
    needs_modes = kind in ("modes", "mode", "kinds", "sample", "similar", "compare")
    if needs_modes and run.modes_folder is None:
        return ""
    if (kind == "flow" and run.flow_edges is None) or (kind == "control" and not run.controlled):
        return ""
    places = {
        "store": str(run.store.path),
        "modes": str(run.modes_folder),
        "analysis": str(run.analysis / "flow.csv") if run.analysis else "",
        "control": str(run.control),
    }
    # A site may be called "3"; numbers are what the view takes as numbers.
    kinds: dict[str, tuple[type, ...]] = {
        "mode": (str, int), "kinds": (str, int), "sample": (int,), "similar": (str, int, float),
    }  # fmt: skip
    types = kinds.get(kind, (str,) * len(parts))
    given = [kind_of(part) for kind_of, part in zip(types, parts, strict=True)]
    head = _OPEN + (_MODES if needs_modes else "")
    return head.format(**places) + _BODIES[kind].format(*given, **places)
