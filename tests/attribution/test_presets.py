"""Presets in real architectures: how many sites, where, and what they give when the model runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens._compat import import_timm, import_torchvision, prepare_torchvision
from codeclens.attribution import Attributor, Conductance, Site, find_sites
from codeclens.errors import CodeclensError

# Model, preset, number of sites, how the first and the last key end.
TORCHVISION = """
resnet18            @blocks  8  layer1.0                     layer4.1
resnet50            @blocks 16  layer1.0                     layer4.2
vit_b_16            @blocks 12  encoder_layer_0              encoder_layer_11
vit_b_16            @mlp    12  encoder_layer_0.mlp.3:input  encoder_layer_11.mlp.3:input
convnext_tiny       @blocks 18  features.1.0                 features.7.2
convnext_tiny       @mlp    18  features.1.0.block.5:input   features.7.2.block.5:input
efficientnet_b0     @blocks 16  features.1.0                 features.7.0
efficientnet_v2_s   @blocks 40  features.1.0                 features.6.14
mobilenet_v2        @blocks 17  features.1                   features.17
mobilenet_v3_small  @blocks 11  features.1                   features.11
mnasnet1_0          @blocks 16  layers.8.0                   layers.13.0
densenet121         @blocks 58  denseblock1.denselayer1      denseblock4.denselayer16
swin_t              @blocks 12  features.1.0                 features.7.1
swin_t              @mlp    12  features.1.0.mlp.3:input     features.7.1.mlp.3:input
swin_v2_t           @blocks 12  features.1.0                 features.7.1
maxvit_t            @blocks 11  blocks.0.layers.0            blocks.3.layers.1
shufflenet_v2_x1_0  @blocks 16  stage2.0                     stage4.3
googlenet           @blocks  9  inception3a                  inception5b
squeezenet1_0       @blocks  8  features.3                   features.12
vgg16               @blocks 15  features.1                   classifier.4
alexnet             @blocks  7  features.1                   classifier.5
"""
TIMM = """
resnet18                      @blocks    8  layer1.0                 layer4.1
resnet50                      @blocks   16  layer1.0                 layer4.2
resnetv2_50                   @blocks   16  stages.0.blocks.0        stages.3.blocks.2
seresnet50                    @blocks   16  layer1.0                 layer4.2
vit_tiny_patch16_224          @blocks   12  blocks.0                 blocks.11
vit_tiny_patch16_224          @mlp      12  blocks.0.mlp.fc2:input   blocks.11.mlp.fc2:input
vit_tiny_patch16_224          @attention 12 blocks.0.attn.proj:input blocks.11.attn.proj:input
vit_tiny_patch16_224          @heads    12  blocks.0.attn.proj:input blocks.11.attn.proj:input
convnext_tiny                 @blocks   18  stages.0.blocks.0        stages.3.blocks.2
convnext_tiny                 @mlp      18  0.blocks.0.mlp.fc2:input 3.blocks.2.mlp.fc2:input
tf_efficientnet_lite0         @blocks   16  blocks.0.0               blocks.6.0
efficientnetv2_rw_s           @blocks   40  blocks.0.0               blocks.5.14
mobilenetv3_small_100         @blocks   11  blocks.0.0               blocks.4.2
regnetx_002                   @blocks   13  s1.b1                    s4.b7
regnety_002                   @blocks   13  s1.b1                    s4.b7
densenet121                   @blocks   58  denseblock1.denselayer1  denseblock4.denselayer16
swin_tiny_patch4_window7_224  @blocks   12  layers.0.blocks.0        layers.3.blocks.1
coatnet_0_rw_224              @blocks   14  stages.0.blocks.0        stages.3.blocks.1
maxvit_tiny_tf_224            @blocks   11  stages.0.blocks.0        stages.3.blocks.1
mixer_b16_224                 @blocks   12  blocks.0                 blocks.11
cait_xxs24_224                @blocks   26  blocks.0                 blocks_token_only.1
eva02_tiny_patch14_224        @blocks   12  blocks.0                 blocks.11
nfnet_f0                      @blocks   12  stages.0.0               stages.3.2
dla34                         @blocks   12  level2.tree1             level5.tree2
"""
# Names inside transformers' models differ between its versions: less of them is compared.
TRANSFORMERS = """
ViTForImageClassification      @blocks    2 0              1
ViTForImageClassification      @mlp       2 :input         :input
ViTForImageClassification      @attention 2 :input         :input
ResNetForImageClassification   @blocks    3 0.layers.0     1.layers.0
RegNetForImageClassification   @blocks    3 0.layers.0     1.layers.0
ConvNextForImageClassification @blocks    3 0.layers.0     1.layers.0
ConvNextForImageClassification @mlp       3 pwconv2:input  pwconv2:input
SwinForImageClassification     @blocks    4 0.blocks.0     1.blocks.1
GPT2LMHeadModel                @blocks    2 h.0            h.1
GPT2LMHeadModel                @mlp       2 c_proj:input   c_proj:input
GPT2LMHeadModel                @heads     2 c_proj:input   c_proj:input
BertForSequenceClassification  @blocks    2 layer.0        layer.1
BertForSequenceClassification  @mlp       2 dense:input    dense:input
BertForSequenceClassification  @heads     2 dense:input    dense:input
LlamaForCausalLM               @blocks    2 layers.0       layers.1
LlamaForCausalLM               @mlp       2 down_proj:input down_proj:input
LlamaForCausalLM               @heads     2 o_proj:input   o_proj:input
"""
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SMALL, "intermediate_size": 64}
STAGES = {"hidden_sizes": [8, 16], "depths": [2, 1], "num_labels": 5}
SETTINGS: dict[str, dict[str, Any]] = {
    "ViT": {**WIDE, "image_size": 32, "patch_size": 8, "num_labels": 5},
    "ResNet": {**STAGES, "embedding_size": 8, "layer_type": "basic"},
    "RegNet": {**STAGES, "embedding_size": 8, "groups_width": 8},
    "ConvNext": {**STAGES, "num_stages": 2, "layer_scale_init_value": 1.0},
    "Swin": {
        "image_size": 32,
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 8,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "num_labels": 5,
    },
    "GPT2": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "vocab_size": 9,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
    "Bert": {**WIDE, "vocab_size": 9},
    "Llama": {**WIDE, "vocab_size": 9},
}


def rows(table: str) -> list[Any]:
    return [
        pytest.param(*row.split(), id="-".join(row.split()[:2])) for row in table.split("\n")[1:-1]
    ]


def made(build: Callable[..., nn.Module], *arguments: Any, **settings: Any) -> nn.Module:
    """A model, silently: what libraries say about their own construction is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return networks.seeded(lambda: build(*arguments, **settings))


def weightless(build: Callable[..., nn.Module], *arguments: Any, **settings: Any) -> nn.Module:
    """A model on the meta device: its modules are there, its weights are not."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(*arguments, **settings)


def transformer(kind: str) -> nn.Module:
    prepare_torchvision()
    transformers = pytest.importorskip("transformers")
    family = kind.split("For")[0].removesuffix("LMHeadModel")
    configuration = getattr(transformers, f"{family}Config")(**SETTINGS[family])
    model: nn.Module = getattr(transformers, kind)(configuration)
    return model


def assert_found(model: nn.Module, preset: str, count: str, first: str, last: str) -> None:
    found = [site.key for site in find_sites(model, preset)]
    assert len(found) == int(count)
    assert found[0].endswith(first)
    assert found[-1].endswith(last)


@pytest.mark.parametrize(("name", "preset", "count", "first", "last"), rows(TORCHVISION))
def test_torchvision(name: str, preset: str, count: str, first: str, last: str) -> None:
    model = weightless(import_torchvision().models.get_model, name, weights=None)
    assert_found(model, preset, count, first, last)


@pytest.mark.parametrize(("name", "preset", "count", "first", "last"), rows(TIMM))
def test_timm(name: str, preset: str, count: str, first: str, last: str) -> None:
    assert_found(weightless(import_timm().create_model, name), preset, count, first, last)


@pytest.mark.parametrize(("name", "preset", "count", "first", "last"), rows(TRANSFORMERS))
def test_transformers(name: str, preset: str, count: str, first: str, last: str) -> None:
    assert_found(weightless(transformer, name), preset, count, first, last)


# --- What the sites give when a model runs ---


class FromEmbeddings(nn.Module):
    """A language model from embeddings of tokens `(B, T, features)` to the next token's logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(inputs_embeds=x).logits
        return logits if logits.ndim == 2 else logits[:, -1]


def timm_model(name: str, **settings: Any) -> nn.Module:
    return made(import_timm().create_model, name, num_classes=5, **settings)


def torchvision_model(name: str, **settings: Any) -> nn.Module:
    return made(getattr(import_torchvision().models, name), num_classes=5, **settings)


def torchvision_vit() -> nn.Module:
    return made(
        import_torchvision().models.VisionTransformer,
        image_size=32,
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=24,
        num_classes=5,
    )


def small_swin() -> nn.Module:
    return timm_model(
        "swin_tiny_patch4_window7_224",
        img_size=32,
        window_size=4,
        embed_dim=12,
        depths=(2, 2),
        num_heads=(2, 4),
    )


def small_convnext() -> nn.Module:
    return timm_model("convnext_tiny", depths=(1, 2, 1, 1), dims=(8, 16, 16, 16), ls_init_value=1.0)


def small_vit() -> nn.Module:
    return timm_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=3)


def small_transformer(kind: str) -> nn.Module:
    return made(transformer, kind)


IMAGE = (2, 3, 32, 32)
TOKENS = (2, 6, 32)


@pytest.mark.parametrize(
    ("build", "shape", "preset", "output", "units", "cut"),
    [
        (lambda: torchvision_model("resnet18"), IMAGE, "@blocks", None, [64, 64, 128], True),
        (torchvision_vit, IMAGE, "@blocks", None, [16, 16], True),
        (torchvision_vit, IMAGE, "@mlp", None, [24, 24], False),
        (lambda: timm_model("tf_efficientnet_lite0"), IMAGE, "@blocks", None, [16, 24, 24], True),
        (lambda: timm_model("regnety_002"), IMAGE, "@blocks", None, [24, 56], True),
        (small_vit, IMAGE, "@blocks", None, [24, 24], True),
        (small_vit, IMAGE, "@mlp", None, [96, 96], False),
        (small_vit, IMAGE, "@attention", None, [24, 24], False),
        (small_vit, IMAGE, "@heads", None, [3, 3], False),
        (small_convnext, IMAGE, "@blocks", None, [8, 16, 16], True),
        (small_convnext, IMAGE, "@mlp", None, [32, 64, 64], False),
        (small_swin, IMAGE, "@blocks", None, [12, 12, 24, 24], True),
        (small_swin, IMAGE, "@mlp", None, [48, 48, 96, 96], False),
        (
            lambda: small_transformer("ViTForImageClassification"),
            IMAGE,
            "@blocks",
            "logits",
            [32, 32],
            True,
        ),
        (
            lambda: small_transformer("ViTForImageClassification"),
            IMAGE,
            "@heads",
            "logits",
            [4, 4],
            False,
        ),
        (
            lambda: small_transformer("ResNetForImageClassification"),
            IMAGE,
            "@blocks",
            "logits",
            [8, 8, 16],
            True,
        ),
        (
            lambda: small_transformer("SwinForImageClassification"),
            IMAGE,
            "@blocks",
            "logits",
            [8, 8, 16, 16],
            True,
        ),
        (
            lambda: FromEmbeddings(small_transformer("GPT2LMHeadModel")),
            TOKENS,
            "@blocks",
            None,
            [32, 32],
            True,
        ),
        (
            lambda: FromEmbeddings(small_transformer("GPT2LMHeadModel")),
            TOKENS,
            "@mlp",
            None,
            [128, 128],
            False,
        ),
        (
            lambda: FromEmbeddings(small_transformer("BertForSequenceClassification")),
            TOKENS,
            "@mlp",
            None,
            [64, 64],
            False,
        ),
    ],
)
def test_sites_of_real_architectures_run(
    build: Callable[[], nn.Module],
    shape: tuple[int, ...],
    preset: str,
    output: str | None,
    units: list[int],
    cut: bool,
) -> None:
    method = Conductance(steps=1, rule="left", nodes="uniform")
    attributor = Attributor(build(), sites=preset, method=method, output=output)
    found = attributor(networks.noise(*shape, dtype=torch.float32))
    assert [site.positive.shape[1] for site in found.values()][: len(units)] == units
    assert {site.is_cut for site in found.values()} == {cut}


# --- What cannot be found ---


def test_an_unknown_preset_is_met_with_the_known_ones() -> None:
    with pytest.raises(CodeclensError) as error:
        find_sites(networks.small_vit(), "@block")
    message = 'There is no preset "@block"; the nearest names are "@blocks", "@mlp", "@attention".'
    assert str(error.value) == message


def test_a_preset_without_sites_suggests_names() -> None:
    with pytest.raises(CodeclensError) as error:
        find_sites(networks.plain_mlp(), "@attention")
    assert str(error.value) == (
        'The preset "@attention" finds nothing in a Sequential; name its sites by module, '
        'for example "0", "1", "2", "3", "4".'
    )


@pytest.mark.parametrize("preset", ["@attention", "@heads"])
def test_fused_attention_offers_its_output(preset: str) -> None:
    layer = nn.TransformerEncoderLayer(8, nhead=2, batch_first=True)
    with pytest.raises(CodeclensError, match=r'Take its output "0\.self_attn\[0\]" instead'):
        find_sites(nn.Sequential(layer), preset)


def test_an_attention_of_unknown_heads_asks_for_their_number() -> None:
    model = networks.small_vit()
    del model.blocks[0].attn.num_heads
    with pytest.raises(CodeclensError, match=r'pass Site\("blocks\.0\.attn\.proj", .*heads=…\)'):
        find_sites(model, "@heads")


def test_a_block_inside_a_block_is_not_found_twice() -> None:
    model = nn.Sequential(networks.Block(4, 2))
    model[0].mlp = networks.Block(4, 2)
    assert find_sites(model, "@blocks") == [Site("0", unit_axis=-1)]


# --- What a preset finds, in a model that runs ---


class _Layer(nn.Module):
    """Returns its weights before the tensor that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x).softmax(-1), self.second(x).tanh() + x


class _Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer() for _ in range(3))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:2]:
            _, x = layer(x)
        logits: Tensor = self.head(x)
        return logits


def test_of_several_tensors_the_one_that_goes_on_is_a_site_and_what_does_not_run_is_none() -> None:
    model = networks.seeded(_Several).double()
    assert [site.key for site in find_sites(model, "@blocks")] == [
        "layers.0",
        "layers.1",
        "layers.2",
    ]
    found = Attributor(model, sites="@blocks", method=Conductance(2))(networks.noise(3, 6))
    assert list(found) == ["layers.0[1]", "layers.1[1]"]
    assert all(site.is_cut for site in found.values())
    assert all(float(site.completeness.abs().max()) < 1e-12 for site in found.values())


def test_blocks_without_a_known_name_are_found_where_they_repeat() -> None:
    class Unit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    model = nn.Sequential(nn.Linear(6, 6), nn.Sequential(Unit(), Unit()), Unit(), nn.Linear(6, 2))
    assert [site.key for site in find_sites(model, "@blocks")] == ["1.0", "1.1"]


@pytest.mark.parametrize("kind", [nn.PReLU, nn.CELU, nn.Hardtanh])
def test_activations_of_a_plain_stack_are_its_sites(kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(6, 6), kind(), nn.Linear(6, 6), kind(), nn.Linear(6, 2))
    assert [site.key for site in find_sites(model, "@blocks")] == ["1", "3"]
