"""Several processes that work together (`torchrun`, `accelerate launch`), or one alone.

Whatever is computed with the help of this module comes out the same for any number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from hgzoo.errors import require


def join() -> None:
    """Find the other processes, where a launcher has started several.

    Raises:
        MissingExtraError: There are several, and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _joined():
        accelerate = require("accelerate", extra="train")
        # Unless it is told, accelerate lets processes without a GPU work each for itself.
        wanted = accelerate.utils.parse_flag_from_env("ACCELERATE_USE_CPU")
        none = not (torch.cuda.is_available() or torch.xpu.is_available())
        accelerate.PartialState(cpu=wanted or none)


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes, and part from them in the end; errors as for `join`."""
    join()
    try:
        yield
    finally:
        if _joined():
            distributed.destroy_process_group()


def count() -> int:
    """Return how many processes work together."""
    return distributed.get_world_size() if _joined() else 1


def index() -> int:
    """Return which of them this one is, from 0."""
    return distributed.get_rank() if _joined() else 0


def is_first() -> bool:
    """Tell whether this process writes and prints: one of several does."""
    return index() == 0


def wait() -> None:
    """Go on when every process has come here."""
    if _joined():
        distributed.barrier()


def summed(tensor: Tensor) -> Tensor:
    """Add up what the processes have.

    Args:
        tensor: Of the same shape in every process; keeps its own numbers.

    Returns:
        The sum, the same bits in every process; without a gradient.
    """
    if not _joined():
        return tensor
    there = tensor.detach().to(_device(), copy=True).contiguous()
    distributed.all_reduce(there)
    return there.to(tensor.device)


def synchronize_batch_norms(model: nn.Module, device: torch.device) -> None:
    """Let batch norms take mean and variance over the pictures of all processes.

    Only then is a batch that several processes share the same batch. Keys and parameters stay.

    Args:
        model: Changed in place.
        device: Where it will be trained; torch's own layer knows no CPU.
    """
    if device.type != "cpu":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, SynchronizedBatchNorm(child))


class SynchronizedBatchNorm(nn.BatchNorm2d):
    """A batch norm over the pictures of all processes, on any device.

    In training each process normalizes by mean and variance of the whole batch, however many
    pictures of it are its own; in evaluation it is the plain layer.

    Args:
        plain: Whose parameters and running statistics it takes over.

    Shape:
        - Input: [B, C, H, W]; B may differ between processes
        - Output: [B, C, H, W]
    """

    def __init__(self, plain: nn.BatchNorm2d) -> None:
        super().__init__(plain.num_features, eps=plain.eps, momentum=plain.momentum)
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.train(plain.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize."""
        if not self.training:
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        number = summed(values.new_tensor(values.numel() / values.shape[1]))
        mean: Tensor = _Sum.apply(values.sum((0, 2, 3))) / number
        centered = values - mean[:, None, None]
        variance: Tensor = _Sum.apply(centered.square().sum((0, 2, 3))) / number
        self._remember(mean.detach(), variance.detach() * number / (number - 1).clamp_min(1))
        gain: Tensor = self.weight * (variance + self.eps).rsqrt()
        return (centered * gain[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as the plain layer does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _Sum(torch.autograd.Function):
    """Adds up over the processes; so does its gradient, as every process uses the sum."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # Any: torch has no name for it
        return summed(tensor).clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return summed(grads[0])


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _device() -> torch.device:
    """Return where the processes exchange tensors."""
    if distributed.get_backend() == "gloo":
        return torch.device("cpu")
    device: torch.device = require("accelerate", extra="train").PartialState().device
    return device
