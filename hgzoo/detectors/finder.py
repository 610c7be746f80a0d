"""Where people are, by a network that was trained to tell: from a picture to boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgzoo.detectors.merging import distinct, sigmas_for
from hgzoo.detectors.search import Sight, look
from hgzoo.detectors.sliding import windows
from hgzoo.geometry import Box, Crop, box_around, extent, halfway, heatmap_to_crop, overlap
from hgzoo.pictures import RGB
from hgzoo.readers import Reader

WEIGHTS = "hg1_finder"
"""The weights that `finder_for` takes."""


class Candidate(NamedTuple):
    """A box in which a person may be.

    Attributes:
        score: Height of the middle's peak, 0..1.
        box: (x0, y0, x1, y1), edges, within the picture.
    """

    score: float
    box: Box


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Looks for people with a network of its own, and asks the keypoint network who is one.

    Windows over the picture, at a few scales, are shown to the first network, which draws five
    heatmaps: the middle of each person's box, and the middles of its four edges. Each peak of the
    first is a candidate. Its box is as wide as left and right edge agree best in the peak's row,
    the same way to both sides, and as high as top and bottom agree in its column. (The middle as a
    keypoint, and the box found from there: Objects as Points, Zhou et al., 2019.)

    The keypoint network looks at the best candidates. A person's score is the height of the
    middle's peak times the mean height of the keypoints' peaks; the box lies halfway between the
    candidate's and that of the keypoints, each of which errs in its own way. Scores are weighed
    by the root of the box's longer side before the best is chosen: people are photographed large.

    Attributes:
        reader: Asks the network that has the keypoints of skeleton "box".
        keypoints: Asks the keypoint network; the flip test would be wasted here.
        scales: Longer sides of the windows, over the picture's longer side.
        step: How far neighboring windows are apart at most, over their side.
        peak: Smallest height of a middle's peak; where none is so high, the highest one counts.
        overlap: Two candidates are of one person when they overlap by more (IoU).
        tries: How many candidates are looked at in any case.
        sure: From this height on, further candidates are looked at too.
        threshold: Smallest score of a person besides the best.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.detectors import Finder, finder_for
        >>> from hgzoo.pictures import load
        >>> finder = finder_for(hgzoo.Predictor("hg2_tiny", flip=False).reader)
        >>> picture = load("photo.jpg")
        >>> best = finder.candidates(picture)[0]
        >>> 0.3 < best.score < 1.0
        True
        >>> [(x0 < x1, y0 < y1) for x0, y0, x1, y1 in finder(picture)]
        [(True, True)]
    """

    reader: Reader
    keypoints: Reader
    scales: tuple[float, ...] = (1.0, 0.6, 0.35)
    step: float = 0.6
    peak: float = 0.1
    overlap: float = 0.5
    tries: int = 3
    sure: float = 0.25
    threshold: float = 0.1

    def __call__(self, picture: RGB) -> list[Box]:
        """Find people.

        Args:
            picture: [H, W, 3], RGB, 0..255.

        Returns:
            Their boxes, within the picture's edges and at least a pixel wide and high, the best
            first. The best comes back whatever its score: a picture always gives at least one.
        """
        candidates = self.candidates(picture)
        chosen = [
            one for n, one in enumerate(candidates) if n < self.tries or one.score >= self.sure
        ]
        return [sight.box for sight in self._people(picture, chosen)]

    def candidates(self, picture: RGB) -> list[Candidate]:
        """Return the boxes in which people may be, the highest peak first; at least one.

        Args:
            picture: [H, W, 3], RGB, 0..255.
        """
        size, shape = self.reader.input.size, picture.shape[:2]
        shown = windows(shape, size, scales=self.scales, step=self.step)
        read = self.reader(np.stack([window.warp(picture) for window in shown]), heatmaps=True)
        assert read.heatmaps is not None, "heatmaps were asked for"
        drawn = read.heatmaps[-1]  # [windows, 5, H, W]
        least = min(self.peak, float(drawn[:, 0].max()))
        seen = [
            one
            for window, heatmaps in zip(shown, drawn, strict=True)
            for one in self._in_window(window, heatmaps, shape, least)
        ]
        kept: list[Candidate] = []
        for one in sorted(seen, key=lambda candidate: -candidate.score):
            if all(overlap(one.box, better.box) <= self.overlap for better in kept):
                kept.append(one)
        return kept

    def _in_window(
        self, window: Crop, heatmaps: NDArray[np.float32], shape: tuple[int, int], least: float
    ) -> Iterator[Candidate]:
        middles, left, top, right, bottom = heatmaps
        stride = self.reader.input.heatmap_stride
        for y, x in peaks(middles, least):
            width = reach(left[y, x::-1], right[y, x:])
            height = reach(top[y::-1, x], bottom[y:, x])
            ends = np.array([(x - width, y - height), (x + width, y + height)])
            edges = window.to_picture(heatmap_to_crop(ends, stride))
            yield Candidate(float(middles[y, x]), box_around(edges, shape))

    def _people(self, picture: RGB, candidates: Sequence[Candidate]) -> list[Sight]:
        """Look at candidates; return the best, and all that score well, one sight a person."""
        spec = self.keypoints.input
        shown = [
            Crop.from_box(one.box, size=spec.size, padding=spec.box_padding) for one in candidates
        ]
        seen = [
            replace(sight, score=one.score * sight.score, box=halfway(one.box, sight.box))
            for one, sight in zip(candidates, look(self.keypoints, picture, shown), strict=True)
        ]
        ranked = sorted(seen, key=lambda sight: -sight.score * math.sqrt(extent(sight.box)))
        kept = distinct(ranked, sigmas=sigmas_for(self.keypoints.skeleton))
        return [one for n, one in enumerate(kept) if n < 1 or one.score >= self.threshold]


def finder_for(reader: Reader) -> Finder:
    """Return a finder of people with the weights that come with the package.

    Args:
        reader: Asks the keypoint network.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.detectors import finder_for
        >>> finder = finder_for(hgzoo.Predictor("hg2_tiny", flip=False).reader)
        >>> finder.reader.skeleton.keypoints
        ('center', 'left', 'top', 'right', 'bottom')
    """
    from hgzoo.factory import load_model
    from hgzoo.inference import NetworkReader
    from hgzoo.lean import LeanHourglass

    device = str(reader.model.device) if isinstance(reader, NetworkReader) else "cpu"
    network = LeanHourglass(load_model(WEIGHTS))
    return Finder(reader=NetworkReader(network, flip=False, device=device), keypoints=reader)


def peaks(heatmap: NDArray[np.float32], threshold: float) -> list[tuple[int, int]]:
    """Return (row, column) of pixels as high as a threshold, and as all their neighbors.

    Of neighbors that are equally high the first in reading order counts.
    """
    padded = np.pad(heatmap, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(*heatmap.shape, 9)
    before, after = around[..., :4].max(2), around[..., 5:].max(2)
    rows, columns = np.nonzero((heatmap > before) & (heatmap >= after) & (heatmap >= threshold))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def reach(one_way: NDArray[np.float32], other_way: NDArray[np.float32]) -> float:
    """Return how far from the middle both edges are likeliest.

    Args:
        one_way: How likely an edge is at each pixel, from the middle on, [N].
        other_way: The same to the other side, [M].

    Returns:
        Pixels, at least 1; between two of them where both are likely.
    """
    length = max(len(one_way), len(other_way)) + 1
    together = np.zeros(length + 1)
    for side in (one_way, other_way):
        together[: len(side)] += side
    best = 1 + int(together[1:length].argmax())
    near = together[best - 1 : best + 2]
    return float(np.clip(best + near @ (-1.0, 0.0, 1.0) / max(near.sum(), 1e-6), 1.0, None))
