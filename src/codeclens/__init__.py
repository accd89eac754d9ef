"""What hidden neurons contribute to a network's output, decomposed into modes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from codeclens.errors import CodeclensError, CompletenessWarning

if TYPE_CHECKING:
    from codeclens.analysis import Hierarchy, flow, layer_statistics, semantics
    from codeclens.attribution import (
        ActivationGradient,
        Blur,
        BoxScore,
        Conductance,
        Pixels,
        Positive,
        Samples,
        Site,
        Surprisal,
        contributions,
        find_sites,
        in_axes,
    )
    from codeclens.attribution.targets import (
        Contrast,
        Entropy,
        Label,
        Output,
        Predicted,
        Sum,
        TopKSum,
    )
    from codeclens.attribution.token_targets import Continuation, Token
    from codeclens.control import ablate, control_curve, preserve, scale, steer
    from codeclens.decomposition import (
        ICA,
        NMF,
        PCA,
        BatchTopK,
        Gated,
        JumpReLU,
        KMeans,
        Matryoshka,
        Modes,
        ReLUSAE,
        SemiNMF,
        ThresholdSAE,
        TopK,
        compare,
        decompose,
        load_modes,
        ready_modes,
        save_modes,
    )
    from codeclens.explanation import explain
    from codeclens.explorer import explore, report
    from codeclens.extraction import ContributionStore, ImageFolder, RayEngine, extract, plan
    from codeclens.reporting import gallery_page
    from codeclens.visualization import pixel_map

__version__ = "0.1.0"

__all__ = [
    "ICA",
    "NMF",
    "PCA",
    "ActivationGradient",
    "BatchTopK",
    "Blur",
    "BoxScore",
    "CodeclensError",
    "CompletenessWarning",
    "Conductance",
    "Continuation",
    "Contrast",
    "ContributionStore",
    "Entropy",
    "Gated",
    "Hierarchy",
    "ImageFolder",
    "JumpReLU",
    "KMeans",
    "Label",
    "Matryoshka",
    "Modes",
    "Output",
    "Pixels",
    "Positive",
    "Predicted",
    "RayEngine",
    "ReLUSAE",
    "Samples",
    "SemiNMF",
    "Site",
    "Sum",
    "Surprisal",
    "ThresholdSAE",
    "Token",
    "TopK",
    "TopKSum",
    "__version__",
    "ablate",
    "compare",
    "contributions",
    "control_curve",
    "decompose",
    "explain",
    "explore",
    "extract",
    "find_sites",
    "flow",
    "gallery_page",
    "in_axes",
    "layer_statistics",
    "load_modes",
    "pixel_map",
    "plan",
    "preserve",
    "ready_modes",
    "report",
    "save_modes",
    "scale",
    "semantics",
    "steer",
]

# Where each name lives. A room is imported when one of its names is first used, so that the command
# line answers at once, and can say how threads shall wait before torch is loaded.
_ROOMS = {
    "analysis": ("Hierarchy", "flow", "layer_statistics", "semantics"),
    "attribution": (
        *("ActivationGradient", "Blur", "BoxScore", "Conductance", "Pixels", "Positive", "Samples"),
        *("Site", "Surprisal", "contributions", "find_sites", "in_axes"),
    ),
    "attribution.targets": (
        *("Contrast", "Entropy", "Label", "Output", "Predicted", "Sum", "TopKSum"),
    ),
    "attribution.token_targets": ("Continuation", "Token"),
    "control": ("ablate", "control_curve", "preserve", "scale", "steer"),
    "decomposition": (
        *("BatchTopK", "Gated", "ICA", "JumpReLU", "KMeans", "Matryoshka", "Modes", "NMF", "PCA"),
        *("ReLUSAE", "SemiNMF", "ThresholdSAE", "TopK", "compare", "decompose", "load_modes"),
        *("ready_modes", "save_modes"),
    ),
    "explanation": ("explain",),
    "explorer": ("explore", "report"),
    "extraction": ("ContributionStore", "ImageFolder", "RayEngine", "extract", "plan"),
    "reporting": ("gallery_page",),
    "visualization": ("pixel_map",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"codeclens.{_HOMES[name]}"), name)
    if name in (*_ROOMS, "zoo"):
        return import_module(f"codeclens.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "zoo"]
