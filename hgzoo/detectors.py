"""Where the people of a picture are, when nobody says: detectors, from a picture to boxes.

A detector is any callable that takes a picture and returns boxes. The built-in `Search` needs no
second network: it looks through windows with the keypoint network itself, and moves each promising
window to the keypoints found in it until it stands still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import InputError, MissingExtraError, UnknownNameError, WeightsError
from hgzoo.geometry import Box, Crop, box_around, middle, overlap
from hgzoo.metrics import similarity
from hgzoo.pictures import RGB

Detector = Callable[[RGB], list[Box]]
"""Takes a picture, [H, W, 3], RGB, 0..255, and returns the box of each person in it: (x0, y0, x1,
y1), edges, picture pixels, the surest first."""

Read = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Takes crops, [B, H, W, 3], RGB, 0..255, and returns keypoints (x, y), [B, K, 2], crop pixels,
and scores, [B, K]: the last stack's, of any backend."""


@dataclass(frozen=True, kw_only=True)
class Eye:
    """A keypoint network as a detector sees it.

    Attributes:
        read: Reads crops.
        size: (height, width) of the crops, pixels.
        padding: Show it this times a person's box, as it is used to (`InputSpec.box_padding`).
        sigmas: How far each keypoint may lie off, over the root of the area, [K].
    """

    read: Read
    size: tuple[int, int]
    padding: float
    sigmas: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What the network says of one window.

    Attributes:
        window: What it was shown.
        keypoints: (x, y), [K, 2], picture pixels.
        score: Mean height of the peaks.
        box: The keypoints' box, within the picture.
    """

    window: Crop
    keypoints: NDArray[np.float64]
    score: float
    box: Box


@dataclass(frozen=True, kw_only=True)
class Search:
    """Looks for people with the keypoint network itself.

    First it looks through windows over the whole picture, at a few scales. A window's score is the
    mean height of its peaks: where a person is, peaks are high. The best windows, and all that
    score well, are moved and resized to the keypoints found in them, and looked at again, until
    they stand still; of those that have come to one person (by object keypoint similarity) the
    better stays.

    The best box comes back whatever its score: a picture always gives at least one.

    Attributes:
        eye: The network.
        scales: Longer sides of the windows, over the picture's longer side.
        step: How far neighboring windows are apart at most, over their side.
        tries: How many windows are followed at least, in each round.
        threshold: Smallest score of a person besides the best.
        still: A window stands still when it overlaps the next by so much (IoU).
        same: Two poses are of one person when they are so similar (OKS).
    """

    eye: Eye
    scales: tuple[float, ...] = (1.0, 0.6)
    step: float = 0.7
    tries: tuple[int, ...] = (3, 2, 1)
    threshold: float = 0.35
    still: float = 0.85
    same: float = 0.3

    def __call__(self, picture: RGB) -> list[Box]:
        """Find people.

        Args:
            picture: [H, W, 3], RGB, 0..255.

        Returns:
            The boxes of the keypoints found, within the picture's edges and at least a pixel wide
            and high, the highest score first.
        """
        return [sight.box for sight in self.sights(picture)]

    def sights(self, picture: RGB) -> list[Sight]:
        """Find people, and tell what was seen of each in its last window; see `__call__`."""
        height, width = picture.shape[:2]
        shown = windows((height, width), self.eye.size, scales=self.scales, step=self.step)
        seen = self._look(picture, shown)
        for tries in self.tries:
            standing, moving = [], []
            for one in self._people(seen, at_least=tries):
                following = self._next(one)
                if overlap(one.window.rectangle, following.rectangle) < self.still:
                    moving.append(following)
                else:
                    standing.append(one)
            if not moving:
                break
            seen = [*standing, *self._look(picture, moving)]
        return self._people(seen, at_least=1)

    def _look(self, picture: RGB, shown: Sequence[Crop]) -> list[Sight]:
        """Read all windows in one batch."""
        height, width = picture.shape[:2]
        found, scores = self.eye.read(np.stack([window.warp(picture) for window in shown]))
        sights = []
        for window, xy, score in zip(shown, found, scores, strict=True):
            keypoints = window.to_picture(xy)
            box = box_around(keypoints, (height, width))
            mean = float(score.mean())
            sights.append(Sight(window=window, keypoints=keypoints, score=mean, box=box))
        return sights

    def _next(self, sight: Sight) -> Crop:
        return Crop.from_box(sight.box, size=self.eye.size, padding=self.eye.padding)

    def _people(self, seen: Sequence[Sight], *, at_least: int) -> list[Sight]:
        """Keep the best, and all that score well; one sight a person."""
        kept: list[Sight] = []
        for one in sorted(seen, key=lambda sight: -sight.score):
            if len(kept) >= at_least and one.score < self.threshold:
                break
            if all(self._similarity(one, other) < self.same for other in kept):
                kept.append(one)
        return kept

    def _similarity(self, one: Sight, other: Sight) -> float:
        x0, y0, x1, y1 = other.box
        area = (x1 - x0) * (y1 - y0)
        return similarity(one.keypoints, other.keypoints, area=area, sigmas=self.eye.sigmas)


def windows(
    picture: tuple[int, int], size: tuple[int, int], *, scales: Sequence[float], step: float
) -> list[Crop]:
    """Cover a picture with windows.

    Args:
        picture: Its (height, width).
        size: (height, width) of the crops, whose shape the windows have.
        scales: As for `Search`; a window of scale 1 shows the whole picture.
        step: As for `Search`.
    """
    unit = max(picture[0] / size[0], picture[1] / size[1])
    shown = []
    for scale in scales:
        extent = (size[0] * unit * scale, size[1] * unit * scale)
        rows, columns = (
            _middles(length, side, step) for length, side in zip(picture, extent, strict=True)
        )
        shown += [Crop((x, y), extent, size) for y in rows for x in columns]
    return shown


def _middles(length: int, side: float, step: float) -> list[float]:
    """Return the middles of evenly spaced windows that cover a length; pixels."""
    room = length - side
    if room <= 0:
        return [middle(0, length)]
    count = math.ceil(room / (side * step)) + 1
    return [middle(start, start + side) for start in np.linspace(0, room, count)]
