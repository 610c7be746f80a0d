"""Leaving early: a picture that the first stacks are sure of does not pass the others.

A picture's confidence after a stack is the mean height of its peaks. It leaves after the first
stack where that reaches a threshold, which `calibrate` chooses so that no more than a stated part
of the accuracy is lost on annotated people.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo.blocks import SupervisionHead
from hgzoo.decoders import heights
from hgzoo.errors import ConfigError
from hgzoo.lean import LeanHourglass
from hgzoo.model import StackedHourglass, check_images


class AnytimeHourglass(nn.Module):
    """Gives each picture the heatmaps of the first stack that is sure of it.

    Takes the place of a network in `hgzoo.Predictor` and `hgzoo.engine.evaluate`; cannot be
    trained, and does not follow changes of the model.

    Args:
        model: The network; keeps its own numbers.
        threshold: Confidence from which a picture leaves; see `calibrate`.
        dtype: Number format of the work, as for `LeanHourglass`.

    Attributes:
        left: How many pictures have left after each stack so far.

    Shape:
        - Input: [B, C, H, W], float32, normalized
        - Output: one tensor in a list, [B, K, H/4, W/4], float32

    Examples:
        >>> import hgzoo
        >>> from hgzoo.anytime import AnytimeHourglass
        >>> model = hgzoo.create_model("hg2_tiny", pretrained=True)
        >>> eager = AnytimeHourglass(model, threshold=0.0)  # all leave after the first stack
        >>> poses = hgzoo.Predictor(eager, flip=False, detector="whole")("photo.jpg")
        >>> eager.left
        [1, 0]
    """

    def __init__(
        self,
        model: StackedHourglass,
        *,
        threshold: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.lean = LeanHourglass(model, dtype=dtype).to(model.device)
        heads = [cast(SupervisionHead, head) for head in model.heads]
        self.heatmaps = nn.ModuleList(deepcopy(head.heatmaps).float() for head in heads)
        self.requires_grad_(False).eval()
        self.threshold = threshold
        self.config, self.input, self.output = self.lean.config, model.input, model.output
        self.left = [0] * len(heads)

    @property
    def device(self) -> torch.device:
        """Where it takes its pictures."""
        return self.lean.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format in which it takes them."""
        return self.lean.dtype

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the heatmaps with which each picture left."""
        check_images(images, self.config)
        return [torch.cat([self._one(image) for image in torch.split(images, 1)])]

    def _one(self, image: Tensor) -> Tensor:
        last = len(self.heatmaps) - 1
        for number, feats in enumerate(self.lean.stacks(image)):
            heatmaps = cast(Tensor, self.heatmaps[number](feats.float())).contiguous()
            sure = number < last and self._confidence(heatmaps) >= self.threshold
            if sure or number == last:
                self.left[number] += 1
                break
        return heatmaps

    def _confidence(self, heatmaps: Tensor) -> float:
        return float(confidence(heights(heatmaps, self.output.heatmaps)))


def confidence(heatmaps: Tensor) -> Tensor:
    """Return how sure a network is of each picture: the mean height of its peaks.

    Args:
        heatmaps: Heights, [B, K, H, W].

    Returns:
        [B].

    Examples:
        >>> import torch
        >>> from hgzoo.anytime import confidence
        >>> heatmaps = torch.zeros(1, 2, 4, 4)
        >>> heatmaps[0, 0, 1, 1], heatmaps[0, 1, 2, 2] = 0.5, 1.0
        >>> confidence(heatmaps).tolist()
        [0.75]
    """
    return heatmaps.flatten(2).amax(2).mean(1)


@dataclass(frozen=True, kw_only=True)
class Exit:
    """What one threshold gives on annotated people.

    Attributes:
        threshold: Confidence from which a picture leaves; infinite where none leaves early.
        stacks: Stacks that a picture passes, in the mean.
        correct: Percent of correct keypoints.
    """

    threshold: float
    stacks: float
    correct: float


def exits(confidences: NDArray[np.float64], hits: NDArray[np.float64]) -> list[Exit]:
    """Tell what every threshold that makes a difference gives.

    Args:
        confidences: Of each picture after each stack, [S, N].
        hits: Its part of correct keypoints there, [S, N], 0..1.

    Returns:
        From the threshold that nobody reaches to the one that all reach at once.

    Raises:
        ConfigError: There are no pictures, or the shapes differ.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.anytime import exits
        >>> confidences = np.array([[0.25, 0.75], [0.5, 0.75]])  # two stacks, two pictures
        >>> hits = np.array([[0.0, 1.0], [1.0, 1.0]])
        >>> [(one.threshold, one.stacks, one.correct) for one in exits(confidences, hits)]
        [(inf, 2.0, 100.0), (0.75, 1.5, 100.0), (0.25, 1.0, 50.0)]
    """
    if confidences.shape != hits.shape or confidences.ndim != 2 or not confidences.size:
        raise ConfigError(
            f"confidences and hits must be [stacks, pictures] and not empty, got "
            f"{list(confidences.shape)} and {list(hits.shape)}"
        )
    thresholds = [np.inf, *np.unique(confidences[:-1])[::-1]]
    return [_exit(float(threshold), confidences, hits) for threshold in thresholds]


def _exit(threshold: float, confidences: NDArray[np.float64], hits: NDArray[np.float64]) -> Exit:
    sure = confidences >= threshold  # [S, N]
    sure[-1] = True
    left = sure.argmax(0)  # [N], the first stack that is sure
    correct = hits[left, np.arange(len(left))]
    return Exit(
        threshold=threshold,
        stacks=float(left.mean()) + 1.0,
        correct=100.0 * float(correct.mean()),
    )


def calibrate(found: Sequence[Exit], *, loss: float) -> Exit:
    """Choose the threshold that saves most and loses no more than stated.

    Args:
        found: What `exits` gave.
        loss: Points of accuracy that may be lost against passing every stack.

    Raises:
        ConfigError: The loss is negative.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.anytime import calibrate, exits
        >>> confidences = np.array([[0.25, 0.75], [0.5, 0.75]])
        >>> hits = np.array([[0.0, 1.0], [1.0, 1.0]])
        >>> calibrate(exits(confidences, hits), loss=0.0).threshold
        0.75
    """
    if not loss >= 0.0:
        raise ConfigError(f"loss must be 0 or more points, got {loss}")
    allowed = [one for one in found if one.correct >= found[0].correct - loss]
    return min(allowed, key=lambda one: (one.stacks, -one.correct))
