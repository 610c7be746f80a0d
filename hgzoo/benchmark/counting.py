"""What a network's work comes to, and what a machine could do at best."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

SIDE = 2048
"""Rows and columns of the matrices of a `Product`."""


def multiplications(module: nn.Module, images: Tensor) -> int:
    """Count the multiplications, each with its addition, of a network's convolutions.

    Args:
        module: On the meta device, where nothing is computed.
        images: What it takes, on the meta device.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(images)
    return int(counter.get_total_flops()) // 2


def live_bytes(work: Callable[[], object], *, known: Iterable[Tensor]) -> int:
    """Count the largest memory that the tensors of a piece of work take at one time.

    Tensors that share their memory count once. What a single operation needs inside itself does
    not count.

    Args:
        work: A forward pass.
        known: What is in memory anyway, such as weights and pictures.
    """
    with _Watching(known) as watching, torch.inference_mode():
        work()
    peak: int = watching.peak
    return peak


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the memory of the tensors that operations return, until nobody holds it."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = [
            tensor.untyped_storage() for tensor in known
        ]  # held, so that addresses stay theirs
        self.alive = {storage.data_ptr(): 0 for storage in self.known}
        self.peak = 0

    def __torch_dispatch__(
        self,
        func: Any,  # Any: torch names none of these
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._follow(tensor.untyped_storage())
        self.peak = max(self.peak, sum(self.alive.values()))
        return out

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage.data_ptr()
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, key, None)


class Product:
    """The product of two large matrices: what a machine does best, with torch's threads.

    Args:
        dtype: Number format of the matrices.
    """

    operations = 2 * SIDE**3
    """Multiplications and additions of a call."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.matrix = torch.randn(SIDE, SIDE).to(dtype)
        self.out = torch.empty_like(self.matrix)

    def __call__(self) -> None:
        """Multiply."""
        torch.mm(self.matrix, self.matrix, out=self.out)
