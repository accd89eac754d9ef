"""Secant propagation: gradients whose products with finite changes sum exactly.

Between two nodes of a path the change of every intermediate tensor is finite. Where the backward
pass multiplies by the secant slope of a nonlinearity instead of its derivative, and by the mean of
the other factor in a product, the changes of a cut site times the gradients that arrive there sum
to the change of the target, at any number of nodes. Linear operations stay as they are. The rules
themselves are in the files next to this one, by kind of operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from codeclens.attribution.secant.apart import LEAVING, Apart, described
from codeclens.attribution.secant.arguments import (
    changes_in_place,
    in_place,
    opened,
    out_of_place,
    plain,
    positional,
    tensors,
)
from codeclens.attribution.secant.memory import Memory

# From the gradient at an operation's value, the gradient at each of its inputs.
Pullback = Callable[[Tensor], tuple[Tensor | None, ...]]
# Computes one operation out of place, with its secant for a gradient.
Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
LINEAR: set[str] = set()
# Rules that call torch's function once, for the value of the tensor that they are given.
AT_ONCE: set[Rule] = set()
# Rules that hold for complex numbers too.
COMPLEX: set[str] = set()
# Rules of operations on truth values, whole numbers, indices and detached tensors that change.
CHOOSING: dict[str, Rule] = {}


class SecantMode(TorchFunctionMode):
    """While active, every operation on the way from a site to the target passes secants back.

    Run the model at one node after another and call `step()` before each. At every nonlinear
    operation the mode remembers its inputs, and in the next run takes the secant between them
    and the new ones: one node is in memory at a time, and no tensor's layout matters. `uncovered`
    names the operations met that have no rule: these pass back their derivative, and the sum is
    exact up to what that leaves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.uncovered: set[str] = set()
        self.memory = Memory()
        self._name = ""
        self._apart = Apart()
        # Tensors without a gradient that change (truth values, whole numbers, detached tensors),
        # and the same as numbers that depend on what they were made of.
        self.steps: WeakIdKeyDictionary = WeakIdKeyDictionary()
        # Indices, and the choices that they are.
        self.choices: WeakIdKeyDictionary = WeakIdKeyDictionary()
        # Indices of all entries in place of the chosen ones, and the steps of these `(N,)`.
        self.packed: WeakIdKeyDictionary = WeakIdKeyDictionary()
        # Whether chosen entries may be computed among all entries, and whether this was done.
        self.dense, self.densified = True, False
        self._within = 0
        self._opening: set[Any] = set()
        # Nodes of the graph that operations made which are named already, at the first node.
        self.named: set[Any] = set()
        # Whether the model has run operations inside a transform of torch.func, such as vmap.
        self.transformed = False

    def step(self) -> None:
        """Begin the run at the next node: what was remembered becomes what came before."""
        self.memory.step()
        self._forget()

    def redo(self) -> None:
        """Begin the run at the same node again."""
        self.memory.redo()
        self._forget()

    def _forget(self) -> None:
        self._apart, self.steps = Apart(), WeakIdKeyDictionary()
        self.choices, self.packed = WeakIdKeyDictionary(), WeakIdKeyDictionary()

    def intact(self) -> bool:
        """Whether the model has left alone what was remembered in this run.

        A model that changes a tensor in place after it went through a nonlinearity changes our
        memory too. Such tensors are copied from then on, and this run must be repeated.
        """
        return self.memory.intact()

    def remember(self, *tensors: Tensor) -> tuple[Tensor, ...] | None:
        """Keep the inputs of one operation; gives those at the node before, None at the first."""
        return self._recall(tensors)[0]

    def between(self, *tensors: Tensor) -> list[tuple[Tensor, Tensor]] | None:
        """The same tensors at the node before and at this one, pair by pair; None at the first.

        Unlike the tensors given they stay what they are, so that a pullback may use them later.
        """
        before, now = self._recall(tensors)
        return None if before is None else list(zip(before, now, strict=True))

    def _recall(
        self, tensors: Sequence[Tensor]
    ) -> tuple[tuple[Tensor, ...] | None, tuple[Tensor, ...]]:
        before, now = self.memory.recall(self._name, tensors)
        if before is not None and [t.shape for t in before] == [t.shape for t in tensors]:
            return before, now
        if self.memory.before:
            # The model took another way than at the node before: there is no secant.
            self.uncovered.add(OTHER_WAY)
        return None, now

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        values = [*args, *kwargs.values()]
        if not self._within and name in _OWN:
            self._apart.own(name, values)
        self.transformed |= torch._C._functorch.maybe_current_level() is not None
        rule = self._choosing(name, values)
        known = torch.is_grad_enabled() and follows(values)
        on_the_way = (known or rule is not None) and not self._apart.owned(values)
        if name in LEAVING:
            self._watch(name, [t for t in tensors(values) if t.requires_grad])
            self._watch(name, self._apart.among(values))
        apart = self._apart.among(values) if on_the_way and rule is None else []
        apart = [] if self._within else apart
        if not on_the_way:
            result = func(*args, **kwargs)
        elif rule is None:
            result = self._run(func, name, args, kwargs)
        else:
            with torch.enable_grad():
                result = self._apply(rule, func, name, args, kwargs)
        if apart and (name == "__setitem__" or follows([result])) and not self._opens(func, name):
            self._watch(plain(name).strip("_"), apart)
        if not any(t in self.packed for t in tensors(result)):
            self._apart.note(name, values, result)
        if rule is None and self.steps and changes_in_place(name) and args:
            self.steps.pop(args[0], None)
        if name == "detach" and known and on_the_way and not self._within:
            # It changes as what it was detached from.
            self.steps[result] = args[0]
        return result

    def _choosing(self, name: str, values: Sequence[Any]) -> Rule | None:
        """The rule of an operation on tensors that change and carry no gradient, if it has one."""
        if not (self.steps or self.choices or self.packed):
            return None
        changing = [t for t in tensors(values) if self.changes(t)]
        if not changing:
            return None
        if not any(t in self.steps and t.is_floating_point() for t in changing):
            return CHOOSING.get(plain(name))
        if name in LEAVING or name in _OWN or changes_in_place(name):
            return None
        return CHOOSING["detached"]

    def changes(self, value: Any) -> bool:
        """Whether a tensor without a gradient is known to change, and how."""
        if not isinstance(value, Tensor):
            return False
        return value in self.steps or value in self.choices or value in self.packed

    def run(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """An operation on the way, by its rule, from within another rule."""
        with self:
            return func(*args, **kwargs)

    def is_apart(self, *values: Any) -> bool:
        """Whether any tensor depends on a site, or on a choice, without a gradient or a step."""
        return any(t not in self.steps for t in self._apart.among(*values))

    def _run(self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """One operation on the way, by its rule where there is one."""
        if name in LINEAR:
            return func(*args, **kwargs)
        known = len(self.uncovered)
        if self._opens(func, name):
            self._opening.add(func)
            try:
                with self:
                    return opened(func)(*args, **kwargs)  # type: ignore[misc]
            finally:
                self._opening.discard(func)
        short = plain(name)
        ruled = short in RULES
        if not ruled:
            result = func(*args, **kwargs)
            if follows([result]):
                self.uncovered.add(name)
        elif short not in COMPLEX and any(t.is_complex() for t in tensors(args)):
            result = func(*args, **kwargs)
            self.uncovered.add(f"{short} of complex numbers")
        else:
            result = self._apply(RULES[short], func, name, args, kwargs)
        if (len(self.uncovered) > known or not ruled) and not self.memory.before:
            self.named |= _nodes(result, args)
        return result

    def _opens(self, func: Any, name: str) -> bool:
        """Whether a function shows its parts instead; one that comes back to itself does not."""
        known = name in LINEAR or plain(name) in RULES or func in self._opening
        return not known and opened(func) is not None

    def _apply(
        self, rule: Rule, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        args = positional(func, name, args, kwargs)
        changes, args = in_place(func, name, args, kwargs)
        self._name = name
        self._within += 1
        try:
            if not changes:
                return rule(self, func, *args, **kwargs)
            # Save the operand before the in-place change; write the result to the original tensor.
            into = args[0]
            func = _writing(func, name, into) if rule in AT_ONCE else out_of_place(func, name)
            copy = into.clone()
            if into in self.steps:
                self.steps[copy] = self.steps.pop(into)
            result = rule(self, func, copy, *args[1:], **kwargs)
            if result in self.steps:
                self.steps[into] = self.steps[result]
            if not result.requires_grad or into._is_view():
                return into.copy_(result)
            return _Written.apply(into, result)
        finally:
            self._within -= 1

    def watch(self, name: str, *values: Any) -> None:
        """Name an operation that chooses by tensors of which no more is known, if they change."""
        self._watch(plain(name).strip("_"), self._apart.among(*values))

    def _watch(self, name: str, operands: Sequence[Tensor]) -> None:
        """Name an operation where one of its operands that carry no gradient has changed."""
        if not operands:
            return
        before, _ = self.memory.recall(f"{name} without a gradient", operands)
        for old, now in zip(before or (), operands, strict=False):
            if old.shape != now.shape or not torch.equal(old, now):
                self.uncovered.add(described(name, now))


def _writing(func: Any, name: str, into: Tensor) -> Any:
    """What changes `into` itself, whatever copy of it is given."""
    own = into.detach()
    if name.endswith("_"):
        return lambda _, *args, **kwargs: func(own, *args, **kwargs)
    return lambda _, *args, **kwargs: func(own, *args, inplace=True, **kwargs)


# With these a model begins a graph of its own.
_OWN = {"requires_grad_", "grad", "backward"}
OTHER_WAY = "control flow that depends on the input"


def _nodes(result: Any, args: Sequence[Any]) -> set[Any]:
    """The graph's nodes between an operation's inputs and what it gives."""
    found = {t.grad_fn for t in tensors(args)}
    queue = [t.grad_fn for t in tensors(result)]
    made: set[Any] = set()
    while queue:
        node = queue.pop()
        if node is not None and node not in found:
            found.add(node)
            made.add(node)
            queue.extend(parent for parent, _ in node.next_functions)
    return made


class _Backward(torch.autograd.Function):
    """A value whose gradient at its inputs is what a pullback says."""

    @staticmethod
    def forward(ctx: Any, given: list[Tensor], pullback: Pullback, *inputs: Tensor) -> Tensor:
        ctx.pullback = pullback
        # In a list: a tensor passed directly would be returned as a view, which cannot be changed.
        return given.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None, *ctx.pullback(gradients[0])


class _Written(torch.autograd.Function):
    """A tensor into which another was written; its old values get no gradient, not even zeros."""

    @staticmethod
    def forward(ctx: Any, into: Tensor, result: Tensor) -> Tensor:
        ctx.mark_dirty(into)
        return into if result.data_ptr() == into.data_ptr() else into.copy_(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, gradients[0]


def with_gradient(value: Tensor, pullback: Pullback, *inputs: Tensor) -> Tensor:
    """Give `value` the gradient `pullback` at `inputs`, whatever its own would be."""
    result: Tensor = _Backward.apply([value.detach()], pullback, *inputs)
    return result


def unfinished(value: Tensor, *inputs: Tensor) -> Tensor:
    """At the first node nothing is passed back, but the graph must show what depends on what."""
    return with_gradient(value, lambda _: tuple(torch.zeros_like(z) for z in inputs), *inputs)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for torch functions and methods by name (in-place forms come with them).

    A rule takes the mode, torch's out-of-place function and its arguments: those that must be given
    and tensors by place, settings as they were passed. It asks `mode.remember(inputs)` for the
    inputs at the node before and returns `with_gradient`.
    """

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def choosing(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations with tensors that change and carry no gradient."""

    def register(function: Rule) -> Rule:
        CHOOSING.update(dict.fromkeys(names, function))
        return function

    return register


def follows(values: Any) -> bool:
    """Whether any tensor in (nested) arguments is on the way from a site to the target."""
    if isinstance(values, Tensor):
        return values.requires_grad
    if isinstance(values, list | tuple):
        return any(follows(value) for value in values)
    return False


_NAMES = """
    add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ subtract rsub neg neg_
    __neg__ positive sum mean cumsum trace
    conv_tbc diff nansum nanmean sum_to_size
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    interpolate upsample fold unfold im2col col2im pixel_shuffle pixel_unshuffle
    channel_shuffle pad constant_pad_nd dropout dropout_ dropout1d dropout2d dropout3d
    alpha_dropout feature_dropout native_dropout
    reshape view view_as reshape_as permute transpose transpose_ swapaxes swapdims movedim moveaxis
    flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ expand expand_as broadcast_to
    broadcast_tensors contiguous clone detach detach_
    cpu cuda cat concat concatenate stack hstack vstack dstack split chunk tensor_split unbind
    split_with_sizes unsafe_chunk unsafe_split narrow select index_select gather take
    take_along_dim __getitem__ __get__ __set__ __setitem__ copy_ roll flip fliplr flipud rot90
    repeat repeat_interleave tile t T mT diagonal diag tril triu
    masked_select requires_grad_ register_hook retain_grad rename identity
    zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty
    new_full new_tensor zero_ fill_ size dim stride numel is_floating_point __len__
    __bool__ __format__ __repr__ __str__ item tolist numpy isnan isinf isfinite
    has_names is_contiguous element_size data_ptr
    storage_offset __hash__ _is_view is_complex real_if_close affine_grid embedding one_hot
    index_copy index_copy_ index_fill index_fill_ index_add index_add_ index_put index_put_
    masked_scatter masked_scatter_ scatter_add scatter_add_ unsqueeze_ adjoint H ravel
    diag_embed hsplit vsplit dsplit atleast_1d atleast_2d atleast_3d select_scatter slice_scatter
    diagonal_scatter block_diag real imag conj resolve_conj view_as_real view_as_complex complex
    fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn
    fft_rfftn fft_irfftn fft_fftshift fft_ifftshift backward is_nested is_cuda
    _pack_padded_sequence _pad_packed_sequence
"""

LINEAR.update(_NAMES.split())


# Linear in what follows a site where their other factor is a parameter; rules see to the rest.
_MAY_BE_LINEAR = {
    *("mul", "div", "rdiv", "rpow", "matmul", "rmatmul", "einsum", "einsum_pair"),
    *("baddbmm", "addmm", "addbmm", "addcmul", "addcdiv", "lerp", "batch_norm", "scatter"),
    *("mv", "dot", "vdot", "inner", "outer", "ger", "kron", "tensordot", "bilinear", "linear"),
    *("conv1d", "conv2d", "conv3d", "grid_sample", "where", "masked_fill"),
    *("to", "type", "type_as", "float", "double", "half", "bfloat16"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
}


def unseen(targets: Iterable[Tensor], named: Iterable[Any] = ()) -> set[str]:
    """Names of nonlinear operations before `targets` `(B,)` that passed by the rules.

    torch shows a mode neither what an `autograd.Function` computes nor what a scripted part does.
    `named` are nodes of the graph that were reported already.

    >>> import torch
    >>> unseen([torch.ones(2, requires_grad=True).mul(2).relu()])
    {'relu'}
    """
    nonlinear = {_squeezed(name): name for name in RULES if name not in _MAY_BE_LINEAR}
    found: set[str] = set()
    seen: set[Any] = set()
    known = set(named)
    queue: list[Any] = [target.grad_fn for target in targets]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        queue.extend(parent for parent, _ in node.next_functions)
        if node in known:
            continue
        name = node.name().rpartition("::")[2].partition("Backward")[0]
        if isinstance(node, BackwardCFunction):
            if not hasattr(node, "pullback") and name != _Written.__name__:
                found.add(f"{name} (an autograd.Function)")
        elif name == "DifferentiableGraph":
            found.add("a scripted part")
        elif (plain := _squeezed(name).removeprefix("native")) in nonlinear:
            found.add(nonlinear[plain])
        elif name.startswith("ScaledDotProduct"):
            found.add("scaled_dot_product_attention")
    return found


def _squeezed(name: str) -> str:
    return name.lower().replace("_", "")
