"""Tracing where forward mode is missing or misleads, and sites that cannot be traced."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codeclens import CodeclensError
from codeclens.attribution import Blur, Output, Predicted, Samples, Site
from codeclens.visualization import pixel_map, tracing
from networks import called_twice, residual_cnn, small_vit
from visualization.slow_pixels import slow_maps


class Cube(torch.autograd.Function):
    """x³ with a backward that can be differentiated again, but no forward mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class CubeOnce(Cube):
    """The same, with a backward that cannot be differentiated again."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class Cubed(nn.Module):
    """`(B, 6)` → `(B, 3)`, site `inner` behind a function of its own kind."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function
        self.outer = nn.Linear(6, 8)
        self.inner = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.inner(self.function.apply(self.outer(x))).tanh())
        return logits


class PartlyStopped(nn.Module):
    """`(B, 6)` → `(B, 3)`: a gate under no_grad, through which forward mode would still go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 8)
        self.inner = nn.Linear(6, 8)
        self.act = nn.Tanh()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            gate = self.gate(x)
        logits: Tensor = self.head(self.act(self.inner(x) * gate))
        return logits


class Changing(nn.Module):
    """`(B, 6)` → `(B, 3)`: centres its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.25
        logits: Tensor = self.head(self.inner(x).tanh())
        return logits


def double(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.double().eval()


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.randn(3, 6, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("sight", ["inner", "act"])
def test_a_part_without_gradient_is_followed_as_the_backward_does(sight: str, x: Tensor) -> None:
    model = double(PartlyStopped())
    found = pixel_map(model, x, site=sight, units=range(8))
    positive, negative = slow_maps(model, x, sight, range(8), unit_axis=-1)
    torch.testing.assert_close(found.positive, positive, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found.negative, negative, rtol=1e-9, atol=1e-14)


def test_without_forward_mode_a_double_backward_does_it(x: Tensor) -> None:
    model = double(Cubed(Cube))
    traced = tracing.trace(model, x, Site("inner"), target=Predicted())
    assert not traced.forward_mode
    found = pixel_map(model, x, site="inner", units=[0, 1, 2])
    positive, negative = slow_maps(model, x, "inner", [0, 1, 2], unit_axis=-1)
    torch.testing.assert_close(found.positive, positive, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found.negative, negative, rtol=1e-9, atol=1e-14)


def test_without_either_derivative_the_reason_is_reported(x: Tensor) -> None:
    with pytest.raises(CodeclensError, match='"inner" cannot be traced to the input'):
        pixel_map(double(Cubed(CubeOnce)), x, site="inner", units=[0])


def test_double_backward_and_forward_mode_agree(generator: torch.Generator) -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator)
    traced = tracing.trace(double(small_vit()), x, Site("blocks.1"), target=Predicted())
    assert traced.forward_mode
    again = traced.gradient * tracing.by_double_backward(traced)
    torch.testing.assert_close(traced.contribution, again, rtol=1e-9, atol=1e-14)


class FusedAttention(nn.Module):
    """`(B, 4, 8)` → `(B, 3)`: attention by torch's fused function, as libraries call it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(len(x), 4, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        logits: Tensor = self.head(self.proj(mixed.reshape(len(x), 4, 8)).tanh().mean(dim=1))
        return logits


class Encoder(nn.Module):
    """`(B, 4, 8)` → `(B, 3)`: torch's own encoder layer, which has a fast path of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.proj(x).mean(dim=1))
        return logits


@pytest.mark.parametrize("build", [FusedAttention, Encoder])
def test_fused_attention_is_followed(build: type[nn.Module], generator: torch.Generator) -> None:
    model = double(build())
    x = torch.randn(2, 4, 8, dtype=torch.float64, generator=generator)
    traced = tracing.trace(model, x, Site("proj"), target=Predicted())
    assert traced.forward_mode
    found = pixel_map(model, x, site="proj", units=range(8))
    positive, negative = slow_maps(model, x, "proj", range(8), unit_axis=-1)
    torch.testing.assert_close(found.positive, positive, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found.negative, negative, rtol=1e-9, atol=1e-14)


def test_a_model_may_change_its_input_in_place(x: Tensor) -> None:
    kept = x.clone()
    found = pixel_map(double(Changing()), x, site="inner", units=range(8))
    assert torch.equal(x, kept)
    # At x the tangent is x itself, whatever the model subtracts.
    assert found.positive.any()
    assert torch.isfinite(found.net).all()


def test_dead_units_have_empty_maps(x: Tensor) -> None:
    model = double(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)))
    with torch.no_grad():
        model[0].weight[2] = 0
        model[0].bias[2] = -1
    found = pixel_map(model, x, site="1", units=[2])
    assert not found.positive.any()
    assert not found.negative.any()


def test_single_precision_stays_with_forward_mode(generator: torch.Generator) -> None:
    x = torch.randn(2, 3, 12, 12, generator=generator)
    traced = tracing.trace(residual_cnn().eval(), x, Site("layer2.0"), target=Predicted())
    traced.maps(torch.ones(1, 8, dtype=torch.bool))
    assert traced.forward_mode


def test_a_module_called_twice_asks_which_call_is_meant() -> None:
    with pytest.raises(CodeclensError, match=r'reached 2 times .* from "act#0" to "act#1"'):
        pixel_map(called_twice(), torch.ones(1, 6), site="act", units=[0])
    with pytest.raises(CodeclensError, match='"act#5" is not reached'):
        pixel_map(called_twice(), torch.ones(1, 6), site="act#5", units=[0])


class Constant(nn.Module):
    """`(B, 6)` → `(B, 3)` with a site `aside` that sees no input."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Linear(6, 8)
        self.main = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.main(x) * self.aside(torch.ones_like(x)))
        return logits


def test_a_site_that_sees_no_input_has_no_map(x: Tensor) -> None:
    with pytest.raises(CodeclensError, match='"aside" does not depend on the input'):
        pixel_map(double(Constant()), x, site="aside", units=[0])


def test_a_model_that_does_not_run_is_one_sentence() -> None:
    with pytest.raises(CodeclensError, match=r"does not run on an input of shape \(1, 7\)"):
        pixel_map(called_twice(), torch.ones(1, 7), site="first", units=[0])


def test_inference_mode_makes_no_difference(x: Tensor) -> None:
    model = double(called_twice())
    expected = pixel_map(model, x, site="first", units=[0, 1])
    with torch.inference_mode():
        found = pixel_map(model, x.clone(), site="first", units=[0, 1])
    assert torch.equal(found.positive, expected.positive)
    with torch.no_grad():
        assert torch.equal(pixel_map(model, x, site="first", units=[0, 1]).net, expected.net)


class Noisy(nn.Module):
    """`(B, 6)` → `(B, 3)`: draws random numbers in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inner(x)
        logits: Tensor = self.head(hidden * torch.rand(8, dtype=x.dtype))
        return logits


def test_random_numbers_of_a_model_are_put_back(x: Tensor) -> None:
    model = double(Noisy())
    before = torch.get_rng_state()
    pixel_map(model, x, site="inner", units=[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_target_may_lie_inside_the_network(x: Tensor) -> None:
    model = double(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3), nn.Softplus()))
    inside = pixel_map(model, x, site="1", units=[0, 5], target=Output(1), output=Site("2"))
    alone = pixel_map(model[:3], x, site="1", units=[0, 5], target=Output(1))
    torch.testing.assert_close(inside.positive, alone.positive, rtol=1e-12, atol=0)


def test_baselines_are_those_of_contributions(generator: torch.Generator) -> None:
    model = double(residual_cnn())
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=generator)
    blurred = Blur(2.0).at(x, 0)
    found = pixel_map(model, x, site="layer1.0", units=[0], baseline=Blur(2.0))
    expected = pixel_map(model, x, site="layer1.0", units=[0], baseline=blurred)
    assert torch.equal(found.positive, expected.positive)
    with pytest.raises(CodeclensError, match="holds 2 baselines"):
        pixel_map(model, x, site="layer1.0", units=[0], baseline=Samples(x, draws=2))
