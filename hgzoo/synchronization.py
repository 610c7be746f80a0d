"""Batch norms over the pictures of several processes that train together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hgzoo.processes import summed


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
