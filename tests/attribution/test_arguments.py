"""Operations in all the ways in which torch lets them be written: names, numbers, tuples."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import networks
from between import Operation, attributed, gap
from codeclens._compat import prepare_torchvision
from codeclens.attribution import Attributor, Conductance, Token
from codeclens.attribution.secant.arguments import positional
from codeclens.errors import CodeclensError

steady = torch.linspace(-1, 1, 144).view(12, 12).double()


def rows(z: Tensor) -> Tensor:
    return z.view(-1, 3, 4)


def each(operation: Operation) -> Operation:
    """An operation on one sample, done to every sample."""
    return lambda z: torch.stack([operation(row) for row in z])


def computed_convolution(z: Tensor) -> Tensor:
    # The input and the weight of each sample are both computed from it.
    count = len(z)
    weight = z.tanh().view(count, 1, 12)[:, :, :3].contiguous()
    return F.conv1d(z.view(1, count, 12), weight, z[:, 0], groups=count).view(count, -1)


def computed_transposed(z: Tensor) -> Tensor:
    count = len(z)
    weight = z.tanh().view(count, 1, 12)[:, :, :3].contiguous()
    return F.conv_transpose1d(z.view(1, count, 12), weight, groups=count).view(count, -1)


def product_of_complex(z: Tensor) -> Tensor:
    c = torch.view_as_complex(z.view(-1, 6, 2))
    return torch.view_as_real(c * c.conj() * c / (2 + c * c)).flatten(1)


def fractional(z: Tensor) -> Tensor:
    places = torch.full((len(z), 1, 2), 0.4, dtype=z.dtype)
    pool = nn.FractionalMaxPool2d(2, output_size=(2, 3), _random_samples=places)
    return pool(z.view(-1, 1, 3, 4)).flatten(1)


OPERATIONS: dict[str, Operation] = {
    "mul by name": lambda z: torch.mul(input=z, other=z.tanh()),
    "method mul by name": lambda z: z.mul(other=z.tanh()),
    "mul by a named number": lambda z: torch.mul(input=z, other=2.0).tanh(),
    "div by name": lambda z: torch.div(input=z, other=2 + z.tanh()),
    "relu by name": lambda z: torch.relu(input=z),
    "F.gelu by name": lambda z: F.gelu(input=z, approximate="tanh"),
    "softmax by name": lambda z: torch.softmax(input=z, dim=1),
    "pow by name": lambda z: torch.pow(input=z, exponent=3),
    "matmul by name": lambda z: torch.bmm(input=rows(z), mat2=rows(z).mT).flatten(1),
    "baddbmm by name": lambda z: torch.baddbmm(
        rows(z)[:, :, :3], batch1=rows(z), batch2=rows(z).mT, beta=0.5, alpha=2
    ).flatten(1),
    "baddbmm all by name": lambda z: torch.baddbmm(
        input=rows(z)[:, :, :3], batch1=rows(z), batch2=rows(z).mT
    ).flatten(1),
    "addcmul by name": lambda z: torch.addcmul(z, tensor1=z, tensor2=z.tanh(), value=2),
    "attention by name": lambda z: F.scaled_dot_product_attention(
        query=rows(z), key=rows(z).tanh(), value=rows(z), attn_mask=None
    ).flatten(1),
    "layer norm by name": lambda z: F.layer_norm(input=z, normalized_shape=(12,), weight=steady[0]),
    "cosine by name": lambda z: z * F.cosine_similarity(x1=z + 1, x2=z.flip(1), dim=1)[:, None],
    "max by name": lambda z: torch.max(input=z, dim=1, keepdim=True).values,
    "maximum by name": lambda z: torch.max(input=z, other=-z),
    "logsumexp over two": lambda z: rows(z).logsumexp((1, 2))[:, None],
    "logsumexp kept": lambda z: rows(z).logsumexp((1, 2), keepdim=True)[:, 0],
    "by whole numbers": lambda z: z * torch.arange(12),
    "of whole numbers": lambda z: torch.arange(12) * z,
    "by truth values": lambda z: z * (torch.arange(12) > 4),
    "by whole numbers below": lambda z: z / torch.arange(1, 13),
    "whole numbers over it": lambda z: torch.arange(12) / (z * z + 1),
    "F.logsigmoid": F.logsigmoid,
    "sign": lambda z: z.sign() * z,
    "steps": lambda z: z.floor() + z.round() + z // 0.5 + z % 0.7,
    "heaviside": lambda z: torch.heaviside(z, torch.zeros(1, dtype=z.dtype)) * z,
    "nan to num": lambda z: z.nan_to_num().tanh(),
    "scatter add": lambda z: (
        torch.zeros(len(z), 3).double().scatter_add(1, (torch.arange(12) % 3).expand(len(z), -1), z)
    ),
    "min": lambda z: z.min(1, keepdim=True)[0] + z.amin(1, keepdim=True) + torch.min(z, -z),
    "fmax": lambda z: torch.fmax(z, -z) + torch.fmin(z, z * z),
    "std and mean": lambda z: torch.cat(torch.std_mean(z, 1, keepdim=True), 1),
    "var and mean": lambda z: torch.stack(torch.var_mean(z, dim=1), 1),
    "var by place": lambda z: z.var(1, False, True),
    "power of a parameter": lambda z: (z * z + 0.1).pow(nn.Parameter(torch.tensor(0.3))),
    "power of a tensor": lambda z: (z * z + 0.1).pow(torch.linspace(-1, 2, 12)),
    "number to the": lambda z: torch.pow(2, z),
    "outer": each(lambda r: torch.outer(r[:3], vec2=r[3:].tanh()).flatten()),
    "dot": each(lambda r: torch.dot(r, r.tanh())[None]),
    "tensordot": each(lambda r: torch.tensordot(r.view(3, 4), r.tanh().view(3, 4), 2)[None]),
    "tensordot by a constant": lambda z: torch.tensordot(z, steady, 1),
    "three in an einsum": lambda z: torch.einsum("bi,bj,bi->bj", z, z.tanh(), z * z),
    "four in an einsum": lambda z: torch.einsum("bi,bi,ij,bi->bj", z, z.tanh(), steady, z),
    "bilinear layer": lambda z: F.bilinear(z[:, :6], z[:, 6:], steady[:6, :6][None]),
    "computed weight": each(lambda r: F.linear(r[:6].tanh(), r.view(2, 6), r[:2])),
    "computed convolution": computed_convolution,
    "computed transposed convolution": computed_transposed,
    "fourier": lambda z: torch.fft.fft(z).abs(),
    "fourier of real": lambda z: torch.fft.rfft(z).real,
    "complex products": product_of_complex,
    "fractional max pool": fractional,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_exact_however_it_is_written(name: str) -> None:
    for steps in (1, 3):
        found = attributed(OPERATIONS[name], Conductance(steps, nodes="uniform"))
        assert not found.uncovered
        assert gap(found) < 1e-11


@pytest.mark.parametrize("name", ["steps", "heaviside"])
def test_without_secants_an_operation_without_derivative_is_an_error(name: str) -> None:
    with pytest.raises(CodeclensError, match="without a derivative, which only secants"):
        attributed(OPERATIONS[name], Conductance(2, "trapezoid", "uniform"))


CONTINUOUS = [n for n in OPERATIONS if n not in ("sign", "steps", "heaviside")]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_it_converges_to_what_the_trapezoid_converges_to(name: str) -> None:
    fine = attributed(OPERATIONS[name], Conductance(60, "secant", "power"))["before"].net
    peer = attributed(OPERATIONS[name], Conductance(400, "trapezoid", "power"))["before"].net
    assert (fine - peer).norm() / peer.norm() < 1e-2


def test_settings_keep_their_names_and_factors_get_their_places() -> None:
    z = torch.ones(2, 2)
    settings = {"batch2": z, "batch1": z, "alpha": 2}
    assert len(positional(torch.baddbmm, "baddbmm", [z], settings)) == 3
    assert settings == {"alpha": 2}
    settings = {"dim": 1, "keepdim": True}
    assert positional(torch.amax, "amax", [z], settings) == [z]
    assert settings == {"dim": 1, "keepdim": True}


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (lambda z: torch.fft.fft(z).exp().real, "exp of complex numbers"),
        (lambda z: torch.view_as_real(torch.fft.fft(z).tanh()).flatten(1), "tanh of complex"),
        (lambda z: (rows(z) @ rows(z).mT).logdet()[:, None], "logdet"),
    ],
)
def test_what_has_no_rule_goes_by_its_ordinary_gradient(operation: Operation, name: str) -> None:
    found = attributed(operation)
    assert len(found.uncovered) == 1
    assert next(iter(found.uncovered)).startswith(name)
    assert gap(found) > 1e-9


def test_a_function_that_comes_back_to_itself_is_named() -> None:
    def turning(z: Tensor) -> Tensor:
        # As torch's own functions do: whoever overrides them is asked, which leads back to here.
        if torch.overrides.has_torch_function((z,)):
            return torch.overrides.handle_torch_function(turning, (z,), z)
        return z.exp()

    found = attributed(turning)
    assert found.uncovered == {"turning"}


def test_names_of_a_fused_operation_are_not_repeated_by_its_parts() -> None:
    # Made of products, roots and bounds, which torch shows to no mode.
    found = attributed(each(lambda r: torch.corrcoef(rows(r)[0]).flatten()))
    assert found.uncovered == {"corrcoef"}


@pytest.mark.parametrize("rule", ["secant", "trapezoid"])
def test_pooling_by_a_mask_of_whole_numbers(rule: str) -> None:
    mask = torch.tensor([1, 1, 1, 0])[None, :, None]

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            z = self.before(x).tanh()
            logits: Tensor = self.after((z * mask).sum(1) / mask.sum(1))
            return logits

    model = networks.seeded(Pooled).double()
    method = Conductance(20, rule)  # type: ignore[arg-type]
    found = Attributor(model, sites="before", method=method)(networks.noise(3, 4, 6))
    assert not found.uncovered
    assert gap(found) < (1e-12 if rule == "secant" else 1e-2)


def test_bloom_runs_with_its_products_called_by_name() -> None:
    prepare_torchvision()
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "n_head": 2, "n_layer": 2, "vocab_size": 20}

    class FromEmbeddings(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = transformers.BloomConfig(**sizes, bos_token_id=1, eos_token_id=2)
            self.model = transformers.BloomForCausalLM(config)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.model(inputs_embeds=x).logits
            return logits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = networks.seeded(FromEmbeddings).double()
    site = "model.transformer.h.0[0]"
    method = Conductance(2, nodes="uniform")
    attributor = Attributor(model, sites=site, target=Token(-1), method=method)
    found = attributor(networks.noise(2, 5, 16))
    # Its GELU is a function that torch shows to no mode; what is left of the gap is that.
    assert found.uncovered == {"GeLUFunction (an autograd.Function)"}
    assert gap(found, site) < 0.1
