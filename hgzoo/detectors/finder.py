"""Where people are, by a network that was trained to tell: from a picture to boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgzoo.detectors.merging import distinct
from hgzoo.detectors.search import Sight, look, window_round
from hgzoo.detectors.sliding import windows
from hgzoo.geometry import Box, Crop, box_around, halfway, heatmap_to_crop, overlap
from hgzoo.pictures import RGB
from hgzoo.readers import Reader

WEIGHTS = "hg1_finder"
"""The weights that `finder_for` takes."""


class Candidate(NamedTuple):
    """A box in which a person may be.

    Attributes:
        score: Height of the middle's peak, 0..1; after a closer look the geometric mean of both.
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
    keypoint, and the box found from there: Objects as Points, Zhou et al., 2019.) A window round
    each of the best candidates then shows them in the size that suits the network: the box seen
    there is theirs.

    The keypoint network looks at them in turn. A person's score is the candidate's, times the mean
    height of the keypoints' peaks, times the overlap (IoU) of the candidate's box and that of the
    keypoints. Halfway between these two, each of which errs in its own way, the network looks at
    those who are kept once or twice more, until the box of the keypoints stands still: that box is
    theirs.

    Attributes:
        reader: Asks the network that has the keypoints of skeleton "box".
        keypoints: Asks the keypoint network; the flip test would be wasted here.
        scales: Longer sides of the windows, over the picture's longer side.
        step: How far neighboring windows are apart at most, over their side.
        peak: Smallest height of a middle's peak; where none is so high, the highest one counts.
        overlap: Two candidates are of one person when they overlap by more (IoU).
        tries: How many candidates are looked at in any case.
        sure: From this height on, further candidates are looked at too.
        least: Smallest score of the best person: below it, nobody is there.
        threshold: Smallest score of a person besides the best.
        rounds: How often a person who was found is looked at again, at most.
        still: A box stands still when it overlaps the one before by so much (IoU).

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
    step: float = 0.7
    peak: float = 0.1
    overlap: float = 0.5
    tries: int = 3
    sure: float = 0.35
    least: float = 0.04
    threshold: float = 0.06
    rounds: int = 2
    still: float = 0.9

    def __call__(self, picture: RGB) -> list[Box]:
        """Find people.

        Args:
            picture: [H, W, 3], RGB, 0..255.

        Returns:
            Their boxes, within the image's edges and at least a pixel wide and high, the best
            first; none where nobody is found.
        """
        people = self._people(picture, self.candidates(picture))
        return [self._settled(picture, one.box) for one in people]

    def candidates(self, picture: RGB) -> list[Candidate]:
        """Return the boxes in which people may be, the highest score first; at least one.

        Args:
            picture: [H, W, 3], RGB, 0..255.
        """
        found = self._overview(picture)
        chosen = [one for n, one in enumerate(found) if n < self.tries or one.score >= self.sure]
        return sorted(self._closer(picture, chosen), key=lambda one: -one.score)

    def _overview(self, picture: RGB) -> list[Candidate]:
        """Look through windows over the picture; of candidates that overlap the better stays."""
        size = self.reader.input.size
        shown = windows(picture.shape[:2], size, scales=self.scales, step=self.step)
        seen = [one for found in self._look(picture, shown) for one in found]
        seen.sort(key=lambda candidate: -candidate.score)
        least = min(self.peak, seen[0].score)
        kept: list[Candidate] = []
        for one in seen:
            apart = all(overlap(one.box, better.box) <= self.overlap for better in kept)
            if one.score >= least and apart:
                kept.append(one)
        return kept

    def _closer(self, picture: RGB, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """Look at each candidate again, in a window round it."""
        shown = [window_round(one.box, self.reader.input) for one in candidates]
        for one, found in zip(candidates, self._look(picture, shown), strict=True):
            again = max(found, key=lambda other: other.score * overlap(other.box, one.box))
            box = again.box if overlap(again.box, one.box) > 0 else one.box
            yield Candidate(math.sqrt(one.score * again.score), box)

    def _look(self, picture: RGB, shown: Sequence[Crop]) -> list[list[Candidate]]:
        """Return what each window shows, at least one candidate each."""
        read = self.reader(np.stack([window.warp(picture) for window in shown]), heatmaps=True)
        assert read.heatmaps is not None, "heatmaps were asked for"
        shape = picture.shape[:2]
        return [
            list(self._in_window(window, heatmaps, shape, min(self.peak, float(heatmaps[0].max()))))
            for window, heatmaps in zip(shown, read.heatmaps[-1], strict=True)
        ]

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
        """Look at candidates; return all that score well, one sight a person."""
        shown = [window_round(one.box, self.keypoints.input) for one in candidates]
        seen = [
            replace(
                sight,
                score=one.score * sight.score * overlap(one.box, sight.box),
                box=halfway(one.box, sight.box),
            )
            for one, sight in zip(candidates, look(self.keypoints, picture, shown), strict=True)
        ]
        ranked = sorted(seen, key=lambda sight: -sight.score)
        kept = distinct(ranked, sigmas=self.keypoints.skeleton.sigmas)
        enough = [self.least, *(self.threshold for _ in kept[1:])]
        return [one for one, score in zip(kept, enough, strict=True) if one.score >= score]

    def _settled(self, picture: RGB, box: Box) -> Box:
        """Let a box move to the keypoints in it, until it stands still."""
        for _ in range(self.rounds):
            before = box
            (sight,) = look(self.keypoints, picture, [window_round(box, self.keypoints.input)])
            box = sight.box
            if overlap(box, before) >= self.still:
                break
        return box


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
