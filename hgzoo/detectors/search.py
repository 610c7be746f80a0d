"""Where people are, by the keypoint network alone: windows that move to what is found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hgzoo.config import InputSpec
from hgzoo.detectors.merging import SAME, distinct
from hgzoo.detectors.sliding import whole, windows
from hgzoo.geometry import Box, Crop, box_around, overlap
from hgzoo.pictures import RGB
from hgzoo.readers import Reader


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


def look(reader: Reader, picture: RGB, shown: Sequence[Crop]) -> list[Sight]:
    """Read windows of a picture in one batch.

    Args:
        reader: Asks the keypoint network.
        picture: [H, W, 3], RGB, 0..255.
        shown: The windows, at least one.
    """
    found = reader(np.stack([window.warp(picture) for window in shown]))
    sights = []
    for window, xy, score in zip(shown, found.xy, found.scores, strict=True):
        keypoints = window.to_picture(xy)
        box = box_around(keypoints, (picture.shape[0], picture.shape[1]))
        sights.append(Sight(window=window, keypoints=keypoints, score=float(score.mean()), box=box))
    return sights


def window_round(box: Box, spec: InputSpec) -> Crop:
    """Show a box as a network expects it."""
    return Crop.from_box(box, size=spec.size, padding=spec.box_padding)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Looks for people with the keypoint network itself.

    First it looks through windows over the whole picture, at a few scales. A window's score is the
    mean height of its peaks: where a person is, peaks are high. The best windows, and all that
    score well, are moved and resized to the keypoints found in them, and looked at again, until
    they stand still; of those that have come to one person (by object keypoint similarity) the
    better stays.

    The best box comes back whatever its score: a picture always gives at least one. A single
    keypoint tells no size; a network of one gives the whole picture.

    Attributes:
        reader: Asks the network; the flip test would be wasted here.
        scales: Longer sides of the windows, over the picture's longer side.
        step: How far neighboring windows are apart at most, over their side.
        tries: How many windows are followed at least, in each round.
        threshold: Smallest score of a person besides the best.
        still: A window stands still when it overlaps the next by so much (IoU).
        same: Two poses are of one person when they are so similar (OKS).

    Examples:
        >>> import hgzoo
        >>> from hgzoo.detectors import Search
        >>> from hgzoo.pictures import load
        >>> reader = hgzoo.Predictor("hg1_nano", flip=False).reader
        >>> search = Search(reader=reader, scales=(1.0,))
        >>> [(x0 < x1, y0 < y1) for x0, y0, x1, y1 in search(load("photo.jpg"))]
        [(True, True)]
    """

    reader: Reader
    scales: tuple[float, ...] = (1.0, 0.6)
    step: float = 0.7
    tries: tuple[int, ...] = (3, 2, 1)
    threshold: float = 0.25
    still: float = 0.85
    same: float = SAME

    def __call__(self, picture: RGB) -> list[Box]:
        """Find people.

        Args:
            picture: [H, W, 3], RGB, 0..255.

        Returns:
            The boxes of the keypoints found, within the picture's edges and at least a pixel wide
            and high, the highest score first.
        """
        if self.reader.skeleton.num_keypoints == 1:
            return whole(picture)
        return [sight.box for sight in self.sights(picture)]

    def sights(self, picture: RGB) -> list[Sight]:
        """Find people, and tell what was seen of each in its last window; see `__call__`."""
        height, width = picture.shape[:2]
        size = self.reader.input.size
        shown = windows((height, width), size, scales=self.scales, step=self.step)
        seen = look(self.reader, picture, shown)
        for tries in self.tries:
            standing, moving = [], []
            for one in self._people(seen, at_least=tries):
                following = window_round(one.box, self.reader.input)
                if overlap(one.window.rectangle, following.rectangle) < self.still:
                    moving.append(following)
                else:
                    standing.append(one)
            if not moving:
                break
            seen = [*standing, *look(self.reader, picture, moving)]
        return self._people(seen, at_least=1)

    def _people(self, seen: Sequence[Sight], *, at_least: int) -> list[Sight]:
        """Keep the best, and all that score well; one sight a person."""
        ranked = sorted(seen, key=lambda sight: -sight.score)
        kept = distinct(ranked, sigmas=self.reader.skeleton.sigmas, same=self.same)
        return [one for n, one in enumerate(kept) if n < at_least or one.score >= self.threshold]
