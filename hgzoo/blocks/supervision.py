"""Where a stack speaks and how the next one listens: the paper's Figure 4."""

from __future__ import annotations

from torch import Tensor, nn

from hgzoo.blocks.hourglass import MakeBlock


class SupervisionHead(nn.Module):
    """Residuals, then 1x1 convolution with batch norm and ReLU, then linear heatmaps.

    These are the two rounds of 1x1 convolutions of the paper's Section 3.1. The heatmaps have no
    final activation.

    Args:
        in_channels: Channels of the features.
        num_keypoints: K, the number of heatmaps.
        make_block: Builds the residuals at the head's entry; channels are kept.

    Shape:
        - Input: [B, in_channels, H, W]
        - Output: features [B, in_channels, H, W] and heatmaps [B, K, H, W]

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.blocks import SupervisionHead
        >>> head = SupervisionHead(8, num_keypoints=5, make_block=nn.Identity)
        >>> feats, heatmaps = head(torch.zeros(1, 8, 16, 12))
        >>> feats.shape, heatmaps.shape
        (torch.Size([1, 8, 16, 12]), torch.Size([1, 5, 16, 12]))
    """

    def __init__(self, in_channels: int, num_keypoints: int, make_block: MakeBlock) -> None:
        super().__init__()
        self.residuals = make_block()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.bn = nn.BatchNorm2d(in_channels)
        self.heatmaps = nn.Conv2d(in_channels, num_keypoints, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features that the heatmaps were read from, and the heatmaps."""
        feats = self.bn(self.conv(self.residuals(x))).relu()
        return feats, self.heatmaps(feats)


class Feedback(nn.Module):
    """Add a stack's features and heatmaps, through 1x1 convolutions, to its input (Section 3.3).

    Args:
        channels: Channels of the features.
        num_keypoints: K, the number of heatmaps.

    Shape:
        - Input: x and feats [B, channels, H, W], heatmaps [B, K, H, W]
        - Output: [B, channels, H, W], the next stack's input

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import Feedback
        >>> feedback = Feedback(8, num_keypoints=5)
        >>> x, feats, heatmaps = (torch.zeros(1, channels, 16, 12) for channels in (8, 8, 5))
        >>> feedback(x, feats, heatmaps).shape
        torch.Size([1, 8, 16, 12])
    """

    def __init__(self, channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.feats = nn.Conv2d(channels, channels, 1)
        self.heatmaps = nn.Conv2d(num_keypoints, channels, 1)

    def forward(self, x: Tensor, feats: Tensor, heatmaps: Tensor) -> Tensor:
        """Return the next stack's input."""
        out: Tensor = x + self.feats(feats) + self.heatmaps(heatmaps)
        return out
