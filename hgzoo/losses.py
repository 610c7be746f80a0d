"""How wrong a stack's heatmaps are.

A heatmap loss compares one stack's heatmaps with the target and gives one number for each keypoint
of each picture. `stacked` adds the stacks up, every one against the same target (paper, Section
3.3), and decides which keypoints count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hgzoo.config import HeatmapKind
from hgzoo.errors import ConfigError

HeatmapLoss = Callable[[Tensor, Tensor], Tensor]
"""Compares heatmaps and target, both [B, K, H, W]; returns [B, K]."""

SMALLEST = 1e-10

EMPTY: dict[HeatmapKind, float] = {"heights": 0.0, "log_odds": -40.0}
"""What a heatmap holds where it is empty: the loss against an empty target is 0 there."""


def mse(heatmaps: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the pixels (paper, Section 3.4).

    Args:
        heatmaps: [B, K, H, W].
        target: Heights, [B, K, H, W], 0..1.

    Returns:
        [B, K], 0 for equal ones.

    Examples:
        >>> import torch
        >>> from hgzoo.losses import mse
        >>> mse(torch.full((1, 2, 4, 4), 0.5), torch.zeros(1, 2, 4, 4)).tolist()
        [[0.25, 0.25]]
    """
    return (heatmaps.float() - target).square().mean((2, 3))


def spatial_cross_entropy(heatmaps: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy between two distributions over the pixels.

    The heatmap is a softmax over all its pixels, the target is divided by its sum. Networks
    trained so give logits: the whole heatmap may rise or fall without any change.

    Args:
        heatmaps: Logits, [B, K, H, W].
        target: Heights, [B, K, H, W], 0..1; an empty one gives 0.

    Returns:
        [B, K], nats; smallest where the softmax equals the normalized target.

    Examples:
        >>> import torch
        >>> from hgzoo.losses import spatial_cross_entropy
        >>> target = torch.zeros(1, 1, 4, 4)
        >>> target[0, 0, 1, 2] = 1.0
        >>> round(spatial_cross_entropy(torch.zeros(1, 1, 4, 4), target).item(), 3)  # log 16
        2.773
        >>> spatial_cross_entropy(1000 * target, target).abs().item()
        0.0
    """
    log_probability = heatmaps.float().flatten(2).log_softmax(2)
    wanted = target.flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp_min(SMALLEST)
    return -(wanted * log_probability).sum(2)


def quality_focal(heatmaps: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each pixel alone, weighted by the square of how far it is off.

    The many empty pixels, most of them easy, do not drown the few at a peak, and a heatmap may
    stay empty: peaks tell how sure the network is that the keypoint is there at all. (Quality Focal
    Loss, Li et al., NeurIPS 2020, Section 3.2, with beta 2.)

    Args:
        heatmaps: Log-odds, [B, K, H, W].
        target: Heights, [B, K, H, W], 0..1.

    Returns:
        [B, K], nats, summed over the pixels; 0 where the sigmoid equals the target.

    Examples:
        >>> import torch
        >>> from hgzoo.losses import quality_focal
        >>> log_odds = torch.tensor([[[[0.0, -40.0]]]])  # even, and surely not
        >>> target = torch.tensor([[[[1.0, 0.0]]]])
        >>> round(quality_focal(log_odds, target).item(), 4)  # (1/2)² ln 2
        0.1733
    """
    heatmaps = heatmaps.float()
    off = (heatmaps.sigmoid() - target).square()
    each = binary_cross_entropy_with_logits(heatmaps, target, reduction="none")
    return (off * each).sum((2, 3))


@dataclass(frozen=True)
class Loss:
    """A heatmap loss, and what heatmaps mean in a network trained by it."""

    compare: HeatmapLoss
    trains: HeatmapKind


LOSSES: dict[str, Loss] = {
    "mse": Loss(mse, trains="heights"),
    "quality_focal": Loss(quality_focal, trains="log_odds"),
    "spatial_cross_entropy": Loss(spatial_cross_entropy, trains="logits"),
}
"""Every heatmap loss by name."""


def stacked(
    heatmaps: Sequence[Tensor],
    target: Tensor,
    visible: Tensor,
    *,
    loss: Loss,
    weight: Tensor | None = None,
    unlabeled: str = "ignore",
    known: Tensor | None = None,
    hard_keypoints: int = 0,
) -> tuple[Tensor, Tensor]:
    """Add the losses of all stacks against one target.

    The loss of a batch is the sum over the number: the sum over stacks of the mean over the
    keypoints that count. Both are given, because the parts of a batch that several processes
    share only add up to the whole batch before the division.

    Args:
        heatmaps: One [B, K, H, W] a stack.
        target: Heights, [B, K, H, W], 0..1.
        visible: Which keypoints are annotated and usable, [B, K] bool.
        loss: An entry of `LOSSES`.
        weight: How much the keypoints of each picture count, [B], 0 and more; None for 1.
        unlabeled: "ignore" leaves keypoints that are not visible out; "zero" asks them for an
            empty heatmap, the paper's rule.
        known: Where "zero" may ask for empty heatmaps, [B, H, W] bool; None for everywhere.
            Elsewhere nothing is asked.
        hard_keypoints: Count only so many keypoints of largest loss in each picture; 0 for all.

    Returns:
        Two tensors:

        - sum: Over stacks and keypoints that count, a scalar.
        - number: How many keypoints count, each by its picture's weight, a scalar, float32.

    Raises:
        ConfigError: "zero" with a loss over distributions, which have no empty heatmap.

    Examples:
        >>> import torch
        >>> from hgzoo.losses import LOSSES, stacked
        >>> stacks = [torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)]
        >>> target, visible = torch.zeros(1, 2, 4, 4), torch.tensor([[True, False]])
        >>> total, number = stacked(stacks, target, visible, loss=LOSSES["mse"])
        >>> total.item(), number.item()
        (1.0, 1.0)
    """
    counts = visible.float()
    if unlabeled == "zero":
        if loss.trains not in EMPTY:
            raise ConfigError(
                'unlabeled = "zero" needs heatmaps that can be empty; use loss = "mse", or '
                'unlabeled = "ignore"'
            )
        target = target * counts[..., None, None]
        counts = counts.new_ones(counts.shape)
        if known is not None:
            known = known[:, None]
            target = target * known
            heatmaps = [torch.where(known, stack, EMPTY[loss.trains]) for stack in heatmaps]
    each = [loss.compare(stack, target) * counts for stack in heatmaps]
    number = counts.sum(1)  # [B]
    if hard_keypoints:  # online hard keypoint mining
        hard = min(hard_keypoints, counts.shape[1])
        each = [one.topk(hard, dim=1).values for one in each]
        number = number.clamp_max(hard)
    weight = number.new_ones(number.shape) if weight is None else weight
    losses = [one.sum(1) @ weight for one in each]
    return sum(losses, target.new_zeros(())), number @ weight
