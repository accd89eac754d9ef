"""Secant propagation: sums that are exact at any number of steps, operation by operation."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import networks
from codeclens import CodeclensError
from codeclens.attribution import (
    Attributor,
    Conductance,
    Contributions,
    Entropy,
    Predicted,
    Site,
    contributions,
)
from codeclens.attribution.secant import elementwise
from codeclens.attribution.secant.mode import RULES
from codeclens.errors import CompletenessWarning

Operation = Callable[[Tensor], Tensor]


class Between(nn.Module):
    """One operation between two linear layers."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = nn.Linear(6, 12)
        self.operation = operation
        self.after = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.operation(self.before(x)))


def heads(z: Tensor) -> Tensor:
    return z.reshape(-1, 1, 3, 4)


def attention(causal: bool = False, mask: Tensor | None = None, groups: int = 1) -> Operation:
    def operation(z: Tensor) -> Tensor:
        query, key = heads(z), heads(z.roll(1, -1)) * 0.5
        query = query.expand(-1, groups, -1, -1)
        mixed = F.scaled_dot_product_attention(
            query, key, heads(z), attn_mask=mask, is_causal=causal, enable_gqa=groups > 1
        )
        return mixed.sum(dim=1).reshape(-1, 12)

    return operation


def put(z: Tensor, change: Callable[[Tensor], object]) -> Tensor:
    """The tensor itself after an operation in place, whose return value is thrown away."""
    z = z * 1.0
    change(z)
    return z


OPERATIONS: dict[str, Operation] = {
    "relu": torch.relu,
    "relu module": nn.ReLU(),
    "relu in place": nn.ReLU(inplace=True),
    "relu_ thrown away": lambda z: put(z, torch.relu_),
    "F.relu_": F.relu_,
    "method relu": lambda z: z.relu(),
    "relu6": nn.ReLU6(),
    "relu6 in place": nn.ReLU6(inplace=True),
    "leaky relu": nn.LeakyReLU(0.1),
    "leaky relu in place": nn.LeakyReLU(0.1, inplace=True),
    "prelu": nn.PReLU(),
    "elu": nn.ELU(),
    "elu in place": nn.ELU(inplace=True),
    "selu": nn.SELU(inplace=True),
    "celu": nn.CELU(),
    "gelu": nn.GELU(),
    "gelu by tanh": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "silu in place": nn.SiLU(inplace=True),
    "hardswish": nn.Hardswish(inplace=True),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(-0.2, 0.3, inplace=True),
    "sigmoid": torch.sigmoid,
    "sigmoid_": lambda z: put(z, lambda t: t.sigmoid_()),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "mish": nn.Mish(),
    "softsign": nn.Softsign(),
    "threshold": nn.Threshold(0.1, 0.1),
    "clamp": lambda z: z.clamp(-0.2, 0.3),
    "clip": lambda z: torch.clip(z, min=-0.1),
    "abs": abs,
    "exp": torch.exp,
    "log1p": lambda z: (z * z).log1p(),
    "sqrt": lambda z: (z * z + 1).sqrt(),
    "cube": lambda z: z**3,
    "power": lambda z: (z * z + 1) ** 0.3,
    "two to the": lambda z: 2**z,
    "product": lambda z: z * z.tanh(),
    "product in place": lambda z: put(z, lambda t: t.mul_(t.sigmoid())),
    "gate by broadcast": lambda z: z * z.mean(dim=1, keepdim=True).sigmoid(),
    "quotient": lambda z: z / (1 + z.abs()),
    "one over": lambda z: 1 / (2 + z.tanh()),
    "minus": lambda z: 1 - z / 2,
    "addcmul": lambda z: torch.addcmul(z, z, z, value=0.3),
    "lerp": lambda z: torch.lerp(z, z * z, 0.3),
    "glu": lambda z: F.glu(z.repeat(1, 2)),
    "matmul": lambda z: (z.view(-1, 3, 4) @ z.view(-1, 3, 4).mT).flatten(1).repeat(1, 2)[:, :12],
    "einsum": lambda z: torch.einsum("bi,bi->bi", z, z.tanh()),
    "baddbmm": lambda z: torch.baddbmm(
        z.view(-1, 3, 4), z.view(-1, 3, 4)[:, :, :3], z.view(-1, 3, 4).tanh(), alpha=0.5
    ).flatten(1),
    "softmax": lambda z: z.softmax(dim=-1),
    "softmax of large": lambda z: (z * 200).softmax(dim=-1),
    "log softmax": lambda z: F.log_softmax(z, dim=-1),
    "logsumexp": lambda z: z - z.logsumexp(-1, keepdim=True),
    "layer norm": nn.LayerNorm(12),
    "rms norm": lambda z: F.rms_norm(z, (12,), eps=1e-3),
    "group norm": nn.GroupNorm(3, 12),
    "instance norm": lambda z: F.instance_norm(z.view(-1, 3, 4)).flatten(1),
    "variance": lambda z: z * z.var(-1, keepdim=True),
    "deviation": lambda z: z / (z.std(-1, keepdim=True) + 1),
    "normalize": lambda z: F.normalize(z + 1, dim=-1),
    "cosine": lambda z: z * F.cosine_similarity(z + 1, z.flip(-1), dim=-1)[:, None],
    "attention": attention(),
    "causal attention": attention(causal=True),
    "masked attention": attention(mask=torch.ones(3, 3).tril().bool()),
    "biased attention": attention(mask=torch.linspace(-1, 1, 9).view(3, 3).double()),
    "grouped attention": attention(groups=2),
    "max pool": lambda z: F.max_pool1d(z[:, None], 3, 1, 1)[:, 0],
    "max pool 2d": lambda z: F.interpolate(
        F.max_pool2d(z.view(-1, 1, 3, 4), 2, 1, ceil_mode=True), (3, 4)
    ).flatten(1),
    "adaptive max pool": lambda z: F.adaptive_max_pool1d(z[:, None], 4)[:, 0].repeat(1, 3),
    "sum in place after silu": lambda z: F.silu(z).add_(z),
    "relu in place after a product": lambda z: F.relu(z * z.tanh() - 0.1, inplace=True) + z,
    "adaptive average pool": lambda z: (
        F.adaptive_avg_pool1d(z.tanh()[:, None], 6).flatten(1).repeat(1, 2)
    ),
    "average pool": lambda z: F.avg_pool1d(z[:, None], 3, 1, 1)[:, 0],
    "amax": lambda z: z + z.amax(dim=-1, keepdim=True),
    "max over an axis": lambda z: z + z.max(dim=1, keepdim=True).values,
    "amax over two": lambda z: z + z.view(-1, 3, 4).amax(dim=(1, 2))[:, None],
    "maximum": lambda z: torch.maximum(z, -z * 0.3),
    "minimum": lambda z: torch.minimum(z, -z * 0.3),
    "where": lambda z: torch.where(torch.arange(12) > 5, z * z, z),
}


def attributed(
    operation: Operation, method: Conductance, target: object = None, samples: int = 5
) -> Contributions:
    model = Between(operation).double()
    x = torch.randn(samples, 6, generator=torch.Generator().manual_seed(1)).double()
    return Attributor(model, sites="before", method=method, target=target)(x)


def worst_gap(found: Contributions, key: str = "before") -> float:
    change = (found.target - found.baseline_target).abs().max()
    return float(found[key].completeness.abs().max() / change)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_exact_at_any_number_of_steps(name: str) -> None:
    for steps in (1, 2, 5):
        found = attributed(OPERATIONS[name], Conductance(steps, nodes="uniform"))
        assert not found.uncovered
        assert worst_gap(found) < 1e-12


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_converges_to_what_the_trapezoid_converges_to(name: str) -> None:
    fine = attributed(OPERATIONS[name], Conductance(200, "secant", "power"), samples=2)
    peer = attributed(OPERATIONS[name], Conductance(1000, "trapezoid", "power"), samples=2)
    error = (fine["before"].net - peer["before"].net).norm() / peer["before"].net.norm()
    assert error < 5e-3


@pytest.mark.parametrize("target", [Predicted("probabilities"), Entropy()], ids=repr)
def test_a_target_with_a_nonlinearity_is_exact(target: object) -> None:
    assert worst_gap(attributed(nn.GELU(), Conductance(2), target)) < 1e-12


def test_a_tensor_that_the_model_changes_later_is_remembered_as_it_was() -> None:
    def operation(z: Tensor) -> Tensor:
        y = z.tanh()
        z.mul_(0.0)
        return y + z

    assert worst_gap(attributed(lambda z: operation(z * 1.0), Conductance(3))) < 1e-12


def test_an_uncovered_operation_is_named_once_with_its_gap() -> None:
    model = Between(lambda z: z.renorm(2, 0, 0.1) ** 2).double()
    x = torch.randn(4, 6, dtype=torch.float64)

    with pytest.warns(
        CompletenessWarning, match=r"no secant rule for renorm .*miss .* by \d"
    ) as seen:
        found = contributions(model, x, sites="before", method=Conductance(2))
    assert len(seen) == 1
    assert found.uncovered == {"renorm"}


class Swish(torch.autograd.Function):
    """What torch shows to no mode."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z * z.sigmoid()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        (z,) = ctx.saved_tensors
        share = z.sigmoid()
        slope: Tensor = gradients[0] * share * (1 + z * (1 - share))
        return slope


def scripted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    with warnings.catch_warnings():
        # Scripting is on its way out of torch; there are models that still use it.
        warnings.simplefilter("ignore", DeprecationWarning)
        found: Callable[..., Tensor] = torch.jit.script(function)
        return found


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Swish.apply, {"Swish (an autograd.Function)"}),
        # Torch fuses scripts from some run on.
        (lambda: scripted(nn.Sequential(nn.ReLU())), {"relu", "a scripted part"}),
        (lambda: scripted(nn.LayerNorm(12)), {"layer_norm", "a scripted part"}),
    ],
)
def test_what_torch_shows_to_no_mode_is_named_too(
    make: Callable[[], Operation], names: set[str]
) -> None:
    found = attributed(make(), Conductance(2))
    assert len(found.uncovered & names) == len(found.uncovered) == 1
    assert worst_gap(found) > 1e-6


def test_a_function_of_ones_own_is_shown_and_gets_a_rule() -> None:
    @torch.overrides.wrap_torch_function(lambda z: (z,))
    def own_swish(z: Tensor) -> Tensor:
        result: Tensor = Swish.apply(z)
        return result

    elementwise("own_swish")
    try:
        found = attributed(own_swish, Conductance(2))
    finally:
        del RULES["own_swish"]
    assert not found.uncovered
    assert worst_gap(found) < 1e-12


def test_a_rule_is_added_in_three_lines() -> None:
    before = attributed(torch.special.erfcx, Conductance(2))
    assert before.uncovered
    elementwise("special_erfcx")
    try:
        found = attributed(torch.special.erfcx, Conductance(2))
    finally:
        del RULES["special_erfcx"]
    assert not found.uncovered
    assert worst_gap(found) < 1e-12


def test_the_rules_that_the_docs_add_are_exact() -> None:
    page = (Path(__file__).parents[2] / "docs" / "completeness.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    given: dict[str, Any] = {}
    before = dict(RULES)
    try:
        for block in blocks:
            exec(block, given)
        for operation in (
            torch.special.i1e,
            given["swish"],
            lambda z: torch.linalg.cross(z.view(-1, 4, 3), z.tanh().view(-1, 4, 3)).flatten(1),
        ):
            found = attributed(operation, Conductance(3))
            assert not found.uncovered
            assert worst_gap(found) < 1e-12
    finally:
        RULES.clear()
        RULES.update(before)


def test_a_choice_that_changes_along_the_path_is_named() -> None:
    found = attributed(lambda z: z.gather(1, z.data.argsort(1)), Conductance(3))
    assert "gather with an index that changes along the path" in found.uncovered


def test_half_precision_is_summed_in_single() -> None:
    model = Between(nn.GELU()).bfloat16()
    found = Attributor(model, sites="before", method=Conductance(3))(torch.randn(4, 6).bfloat16())
    assert found["before"].positive.dtype == torch.float32


def test_the_path_of_a_model_may_depend_on_its_input() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            z = self.layer(x)
            return z.tanh() if x.abs().max() > 1 else z.sum(dim=1, keepdim=True).tanh() * z

    found = Attributor(Branching(), sites="layer", method=Conductance(3))(torch.randn(4, 6) * 2)
    assert "control flow that depends on the input" in found.uncovered


def test_a_network_with_in_place_operations_equals_the_same_without() -> None:
    x = networks.noise(2, 3, 12, 12)
    model = networks.residual_cnn().double()
    found = Attributor(model, sites="@blocks", method=Conductance(4, nodes="uniform"))(x)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    again = Attributor(model, sites="@blocks", method=Conductance(4, nodes="uniform"))(x)
    for key in found:
        torch.testing.assert_close(found[key].net, again[key].net, rtol=1e-12, atol=1e-14)
        assert worst_gap(found, key) < 1e-12


def test_targets_inside_the_network_are_exact() -> None:
    model = Between(nn.Softplus()).double()
    x = torch.randn(3, 6, dtype=torch.float64)
    found = Attributor(model, sites="before", output=Site("operation"), method=Conductance(2))(x)
    assert worst_gap(found) < 1e-12


def test_no_warning_where_all_is_covered() -> None:

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        contributions(networks.small_vit(), torch.randn(2, 3, 8, 8), sites="@blocks")


def test_unknown_rules_and_schedules_are_refused() -> None:
    with pytest.raises(CodeclensError, match='no rule "simpson"; the nearest names are'):
        Conductance(rule="simpson")  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match='no schedule "arcs"; the nearest names are "arc"'):
        Conductance(nodes="arcs")  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match=r"tolerance \(=0\) must be above 0"):
        Conductance(tolerance=0)
