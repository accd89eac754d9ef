"""Secants of order statistics, and of the indices by which they choose.

Along the straight line between two nodes every order statistic is one entry at a time. Its change
is the sum of the changes of all entries, each times the share of the line on which that entry has
the rank: exactly, and with the integrated gradient. An index is a choice: one-hot numbers that jump
where entries change their ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant import slopes
from codeclens.attribution.secant.mode import SecantMode, rule, unfinished, with_gradient

Func = Callable[..., Any]
# Numbers in the pairwise comparisons of one piece of rows.
_PAIRS = 2**22


class IndexChoice:
    """An index that jumps: one-hot numbers `(…, N)` with a secant, made when they are needed."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self._make = make
        self._made: Tensor | None = None

    def one_hot(self) -> Tensor:
        if self._made is None:
            self._made = self._make()
        return self._made

    def reshaped(self, change: Callable[[Tensor], Tensor]) -> IndexChoice:
        """The choice of the same index in another shape, or of a part of it."""
        return IndexChoice(lambda: torch.vmap(change, in_dims=-1, out_dims=-1)(self.one_hot()))


def _shares(g: Tensor, z: tuple[Tensor, Tensor], order: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient at entries `(R, N)` from that at ranks: by how long an entry has each rank."""
    r0, r1 = (torch.argsort(each, dim=-1) for each in order)
    d0, d1 = (each[:, :, None] - each[:, None, :] for each in z)
    behind0, behind1 = (each[:, :, None] > each[:, None, :] for each in (r0, r1))
    crossing = (d0 / (d0 - d1)).nan_to_num_(0.5).clamp_(0, 1)
    met, way = torch.where(behind0 == behind1, 2.0, crossing).sort(dim=-1)
    turn = (behind1.long() - behind0.long()).gather(-1, way)
    ranks = r0[:, :, None] + torch.cat([torch.zeros_like(turn[..., :1]), turn.cumsum(-1)], -1)
    ends = torch.cat([torch.zeros_like(met[..., :1]), met, torch.ones_like(met[..., :1])], -1)
    durations = ends.clamp(max=1).diff(dim=-1)
    ranks.clamp_(0, g.shape[-1] - 1)
    at_ranks = g[:, None, :].expand(-1, g.shape[-1], -1).gather(-1, ranks)
    return (at_ranks * durations).sum(-1)


def _first_only(
    z: tuple[Tensor, Tensor], order: tuple[Tensor, Tensor], count: int
) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The entries `(R, M)` that may have one of the first ranks, with their values and orders."""
    r0, r1 = (torch.argsort(each, dim=-1) for each in order)
    falling = z[1].gather(-1, order[1])
    sign = -1.0 if bool((falling[:, 0] >= falling[:, -1]).all()) else 1.0
    best, worst = torch.minimum(sign * z[0], sign * z[1]), torch.maximum(sign * z[0], sign * z[1])
    limit = worst.kthvalue(count, dim=-1, keepdim=True).values
    wanted = (best <= limit) | (r0 < count) | (r1 < count)
    size = int(wanted.sum(-1).max())
    entries = wanted.long().argsort(dim=-1, descending=True, stable=True)[:, :size]
    kept = tuple(each.gather(-1, entries) for each in z)
    orders = tuple(each.gather(-1, entries).argsort(dim=-1) for each in (r0, r1))
    return entries, (kept[0], kept[1]), (orders[0], orders[1])


def ordered(mode: SecantMode, z: Tensor, order: Tensor, count: int | None = None) -> Tensor:
    """The first `count` of z in an order along its last axis, which is `order` `(…, N)`."""
    width = z.shape[-1]
    count = width if count is None else count
    value = z.detach().gather(-1, order[..., :count])
    kept = mode.between(z, order)
    if kept is None:
        return unfinished(value, z)
    rows = [tuple(each.reshape(-1, width) for each in pair) for pair in kept]

    def pullback(g: Tensor) -> tuple[Tensor]:
        flat = torch.zeros_like(rows[0][0])
        flat[:, :count] = g.reshape(-1, count)
        result = torch.zeros_like(flat)
        size = max(1, _PAIRS // width**2)
        for n in range(0, len(flat), size):
            z_of, order_of = ((a[n : n + size], b[n : n + size]) for a, b in rows)
            if 4 * count > width:
                result[n : n + size] = _shares(flat[n : n + size], z_of, order_of)
                continue
            entries, z_of, order_of = _first_only(z_of, order_of, count)
            few = _shares(flat[n : n + size, : entries.shape[-1]], z_of, order_of)
            result[n : n + size].scatter_(-1, entries, few)
        return (result.view(z.shape),)

    return with_gradient(value, pullback, z)


def choice(mode: SecantMode, z: Tensor, order: Tensor, count: int) -> IndexChoice:
    """The first `count` entries of z in an order along the last axis, as a choice `(…, count)`.

    An entry is among the first j or not, which is a step of its distance to the middle between the
    j-th and the next; the j-th itself is the difference of two such steps.
    """

    def make() -> Tensor:
        width = z.shape[-1]
        with torch.enable_grad(), mode:
            among = torch.nn.functional.one_hot(order[..., :count], width).to(z.dtype).cumsum(-2)
            inner = min(count, width - 1)
            if not inner:
                return among
            y = ordered(mode, z, order, inner + 1)
            middle = (y[..., :-1] + y[..., 1:]) / 2
            apart = z[..., None, :] - middle[..., None]
            step = stepped(mode, among[..., :inner, :], apart)
            if inner < count:
                step = torch.cat([step, among[..., inner:, :]], dim=-2)
            return torch.cat([step[..., :1, :], step.diff(dim=-2)], dim=-2)

    return IndexChoice(make)


def stepped(mode: SecantMode, value: Tensor, apart: Tensor) -> Tensor:
    """Numbers that jump where `apart` changes its sign, with the secant of that jump."""
    kept = mode.between(value, apart)
    if kept is None:
        return unfinished(value, apart)
    given = [t for pair in kept for t in pair]

    def into(out: Tensor, g: Tensor, *given: Tensor) -> None:
        m0, m1, z0, z1 = given
        # From what is compared with an infinite bound there is no difference.
        slope = slopes.of_jumps(m0, m1, z0, z1, 0.0).nan_to_num_(0.0, 0.0, 0.0)
        torch.mul(slope, g, out=out)

    return with_gradient(value, lambda g: (slopes.in_pieces(into, g, *given),), apart)


def _whole(z: Tensor, first: Tensor, descending: bool) -> Tensor:
    """A whole order `(…, N)` along the last axis that begins as a function has chosen."""
    if first.shape[-1] == z.shape[-1]:
        return first
    order = z.argsort(dim=-1, descending=descending, stable=True)
    taken = torch.zeros_like(z, dtype=torch.bool).scatter_(-1, first, True)
    late = taken.gather(-1, order).long().argsort(dim=-1, stable=True)
    rest = order.gather(-1, late)[..., : z.shape[-1] - first.shape[-1]]
    return torch.cat([first, rest], dim=-1)


def first_of(
    mode: SecantMode, z: Tensor, index: Tensor, descending: bool, dim: int
) -> tuple[Tensor, Tensor]:
    """Values and indices of the first entries along an axis, as a function has chosen them."""
    with mode:
        last = z.movedim(dim, -1)
    chosen = index.movedim(dim, -1)
    order = _whole(last.detach(), chosen, descending)
    count = chosen.shape[-1]
    value = ordered(mode, last, order, count)
    made = choice(mode, last, order, count)
    given = index.clone()
    mode.choices[given] = made.reshaped(lambda t: t.movedim(-1, dim))
    with mode:
        return value.movedim(-1, dim), given


def index_of(mode: SecantMode, z: Tensor, index: Tensor, descending: bool, dim: int) -> Tensor:
    """An index of the first entry along an axis `(…, 1, …)`, as a choice."""
    with mode:
        last = z.movedim(dim, -1)
    order = _whole(last.detach(), index.movedim(dim, -1), descending)
    made = choice(mode, last, order, index.shape[dim])
    mode.choices[index] = made.reshaped(lambda t: t.movedim(-1, dim))
    return index


@rule("sort")
def _sort(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    found = torch.sort(z.detach(), *args, **kwargs)
    dim = kwargs.get("dim", next((a for a in args if type(a) is int), -1))
    flags = [a for a in args if type(a) is bool]
    descending = kwargs.get("descending", flags[-1] if flags else False)
    return torch.return_types.sort(first_of(mode, z, found.indices, descending, dim))


@rule("msort")
def _msort(mode: SecantMode, func: Func, z: Tensor) -> Any:
    with mode:
        return torch.sort(z, dim=0).values


@rule("argsort")
def _argsort(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    with mode:
        return torch.sort(z, *args, **kwargs).indices


@rule("topk")
def _topk(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> Any:
    found = torch.topk(z.detach(), k, dim, largest, sorted=True)
    return torch.return_types.topk(first_of(mode, z, found.indices, largest, dim))


@rule("kthvalue")
def _kthvalue(
    mode: SecantMode, func: Func, z: Tensor, k: int, dim: int = -1, keepdim: bool = False
) -> Any:
    with mode:
        found = z.sort(dim=dim)
        value, index = (each.narrow(dim, k - 1, 1) for each in found)
        return torch.return_types.kthvalue(
            (value, index) if keepdim else (value.squeeze(dim), index.squeeze(dim))
        )


@rule("median", "nanmedian")
def _median(
    mode: SecantMode, func: Func, z: Tensor, dim: int | None = None, keepdim: bool = False
) -> Any:
    """The lower one of the two in the middle."""
    with mode:
        if dim is None:
            flat = z.flatten()
            return flat.kthvalue((flat.numel() + 1) // 2).values
        return torch.return_types.median(z.kthvalue((z.shape[dim] + 1) // 2, dim, keepdim))


@rule("quantile", "nanquantile")
def _quantile(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    **_: Any,
) -> Any:
    """Two neighbours in the order, weighted by the distance from each."""
    shape = [1] * z.ndim
    with mode:
        if dim is None:
            z, dim = z.flatten(), 0
        else:
            shape = [1 if d == dim % z.ndim else n for d, n in enumerate(z.shape)]
        at = torch.as_tensor(q, dtype=z.dtype, device=z.device) * (z.shape[dim] - 1)
        if interpolation in ("nearest", "lower", "higher"):
            at = {"nearest": at.round, "lower": at.floor, "higher": at.ceil}[interpolation]()
        low, high = at.floor().long().reshape(-1), at.ceil().long().reshape(-1)
        weight = torch.full_like(at, 0.5) if interpolation == "midpoint" else at - at.floor()
        y = z.movedim(dim, -1).sort(dim=-1).values
        found = torch.lerp(y[..., low], y[..., high], weight.reshape(-1)).movedim(-1, 0)
        found = found.reshape(-1, *shape) if keepdim else found
        return found if at.ndim else found[0]


@rule("argmax", "argmin")
def _argmax(
    mode: SecantMode, func: Func, z: Tensor, dim: int | None = None, keepdim: bool = False
) -> Any:
    largest = func.__name__ == "argmax"
    with mode:
        if dim is None:
            flat = func(z.flatten(), 0, keepdim)
            return flat.reshape([1] * z.ndim) if keepdim else flat
        index = index_of(mode, z, func(z.detach(), dim, True), largest, dim)
        return index if keepdim else index.squeeze(dim)


@rule("cummax")
def _cummax(mode: SecantMode, func: Func, z: Tensor, dim: int) -> Any:
    """The larger of two ranges, which double in length."""
    index = torch.cummax(z.detach(), dim).indices
    with mode:
        found, length = z, 1
        while length < z.shape[dim]:
            rest = z.shape[dim] - length
            later, earlier = found.narrow(dim, length, rest), found.narrow(dim, 0, rest)
            both = torch.maximum(earlier, later)
            found, length = torch.cat([found.narrow(dim, 0, length), both], dim), 2 * length
    return torch.return_types.cummax((found, index))


@rule("cummin")
def _cummin(mode: SecantMode, func: Func, z: Tensor, dim: int) -> Any:
    with mode:
        found, index = torch.cummax(-z, dim)
        return torch.return_types.cummin((-found, index))


@rule("aminmax")
def _aminmax(mode: SecantMode, func: Func, z: Tensor, **kwargs: Any) -> Any:
    dim, keepdim = kwargs.get("dim"), kwargs.get("keepdim", False)
    with mode:
        dims = tuple(range(z.ndim)) if dim is None else (dim,)
        return torch.return_types.aminmax((z.amin(dims, keepdim), z.amax(dims, keepdim)))
