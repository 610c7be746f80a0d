"""Made-up people in one picture, and a stand-in for the network that reads them."""

import numpy as np

from hgzoo.config import InputSpec
from hgzoo.readers import Found
from hgzoo.skeletons import Skeleton

FIGURE = np.array([[0.5, 0.0], [0.5, 0.3], [0.0, 0.5], [1.0, 0.5], [0.3, 1.0], [0.7, 1.0]])
"""Keypoints of a made-up person, over its width and height."""


class Crowd:
    """Stands in for a network: it knows where people are, by their gray, and sees the nearest one.

    A person is a rectangle of one brightness; of those in a crop the brightest is read, as far as
    it is inside, and scores fall with the part of it that is cut off.
    """

    input = InputSpec(size=(64, 64), box_padding=1.25)
    skeleton = Skeleton(name="", keypoints=tuple("abcdef"))

    def __init__(self) -> None:
        self.crops = 0

    def __call__(self, crops: np.ndarray, *, heatmaps: bool = False) -> Found:
        self.crops += len(crops)
        both = [self._read(crop[..., 0]) for crop in crops]
        return Found(np.stack([xy for xy, _ in both]), np.stack([score for _, score in both]))

    def without_flip(self) -> "Crowd":
        return self

    def _read(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        top = gray.max()
        if top < 100:
            return np.full((6, 2), 31.5) + 0.01 * FIGURE, np.full(6, 0.05)
        rows, columns = np.nonzero(gray > top - 10)
        low = np.array([columns.min(), rows.min()])
        high = np.array([columns.max(), rows.max()])
        cut = (low == 0).any() or (high == np.array(gray.shape)[::-1] - 1).any()
        return low + FIGURE * (high - low), np.full(6, 0.2 if cut else 0.6)


def picture_of(
    *people: tuple[int, int, int, int], width: int = 400, height: int = 300
) -> np.ndarray:
    picture = np.full((height, width, 3), 20, np.uint8)
    for number, (x0, y0, x1, y1) in enumerate(people):
        picture[y0:y1, x0:x1] = 250 - 40 * number
    return picture
