"""Where the people of a picture are, when nobody says: detectors, from a picture to boxes.

A detector is any callable that takes a picture and returns boxes. The built-in `Search` needs no
second network: it looks through windows with the keypoint network itself, and moves each promising
window to the keypoints found in it until it stands still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import MissingExtraError, UnknownNameError, WeightsError
from hgzoo.geometry import Box, Crop, box_around, middle, overlap
from hgzoo.metrics import COCO_SIGMAS, USUAL_SIGMA, similarity
from hgzoo.pictures import RGB
from hgzoo.readers import Reader
from hgzoo.skeletons import SKELETONS, Pose, Skeleton

Detector = Callable[[RGB], list[Box]]
"""Takes a picture, [H, W, 3], RGB, 0..255, and returns the box of each person in it: (x0, y0, x1,
y1), edges, picture pixels, the surest first."""

SAME = 0.3
"""Two poses in one picture that are so similar (OKS) are taken for one person's."""

PERSON_SCORE = 0.5
"""Smallest score of a person that torchvision's detector tells."""


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


Found = TypeVar("Found", Sight, Pose)


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
        found = self.reader(np.stack([window.warp(picture) for window in shown]))
        sights = []
        for window, xy, score in zip(shown, found.xy, found.scores, strict=True):
            keypoints = window.to_picture(xy)
            box = box_around(keypoints, (height, width))
            mean = float(score.mean())
            sights.append(Sight(window=window, keypoints=keypoints, score=mean, box=box))
        return sights

    def _next(self, sight: Sight) -> Crop:
        spec = self.reader.input
        return Crop.from_box(sight.box, size=spec.size, padding=spec.box_padding)

    def _people(self, seen: Sequence[Sight], *, at_least: int) -> list[Sight]:
        """Keep the best, and all that score well; one sight a person."""
        ranked = sorted(seen, key=lambda sight: -sight.score)
        kept = distinct(ranked, sigmas=sigmas_for(self.reader.skeleton), same=self.same)
        return [one for n, one in enumerate(kept) if n < at_least or one.score >= self.threshold]


def distinct(found: Sequence[Found], *, sigmas: Sequence[float], same: float = SAME) -> list[Found]:
    """Keep one of all that are of the same person: the first.

    Args:
        found: Poses or sights, the better ones first.
        sigmas: How far each keypoint may lie off, over the root of the area, [K].
        same: Two are of one person when their object keypoint similarity is so high; the area is
            that of the better one's box.

    Examples:
        >>> from dataclasses import replace
        >>> import numpy as np
        >>> from hgzoo import SKELETONS, Pose
        >>> from hgzoo.detectors import distinct, sigmas_for
        >>> lsp = SKELETONS["lsp"]
        >>> one = Pose(
        ...     keypoints=np.zeros((14, 2)),
        ...     scores=np.ones(14),
        ...     names=lsp.keypoints,
        ...     box=(0.0, 0.0, 100.0, 100.0),
        ...     skeleton=lsp,
        ... )
        >>> far = replace(one, keypoints=one.keypoints + 50.0)
        >>> len(distinct([one, one, far], sigmas=sigmas_for(lsp)))
        2
    """
    kept: list[Found] = []
    for one in found:
        if all(_similarity(one, better, sigmas) < same for better in kept):
            kept.append(one)
    return kept


def _similarity(one: Found, other: Found, sigmas: Sequence[float]) -> float:
    x0, y0, x1, y1 = other.box
    area = (x1 - x0) * (y1 - y0)
    return similarity(one.keypoints, other.keypoints, area=area, sigmas=sigmas)


def windows(
    picture: tuple[int, int], size: tuple[int, int], *, scales: Sequence[float], step: float
) -> list[Crop]:
    """Cover a picture with windows.

    Args:
        picture: Its (height, width).
        size: (height, width) of the crops, whose shape the windows have.
        scales: As for `Search`; a window of scale 1 shows the whole picture.
        step: As for `Search`.

    Examples:
        >>> from hgzoo.detectors import windows
        >>> shown = windows((100, 200), (128, 128), scales=(1.0, 0.5), step=0.7)
        >>> len(shown), shown[0].rectangle
        (4, (0.0, -50.0, 200.0, 150.0))
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


def whole(picture: RGB) -> list[Box]:
    """Take the whole picture for a person's box.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.detectors import whole
        >>> whole(np.zeros((50, 100, 3), np.uint8))
        [(0.0, 0.0, 100.0, 50.0)]
    """
    return [(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))]


def torchvision_people(*, threshold: float = PERSON_SCORE) -> Detector:
    """Return torchvision's Faster R-CNN with a MobileNetV3, trained on COCO.

    It looks at pictures of 320 pixels. Its weights (74 MB) are fetched by torchvision when they
    are first asked for, and kept in torch's folder of checkpoints.

    Args:
        threshold: Smallest score of a person, 0..1. A picture may give no box at all.

    Raises:
        MissingExtraError: torchvision is not installed.
        WeightsError: The weights cannot be fetched, or are damaged.
    """
    try:
        import torch
        from torchvision.models import detection
    except ImportError as error:
        raise MissingExtraError(
            "this detector needs torchvision, which is not installed: pip install torchvision; "
            'or take the detector "search", which needs nothing more'
        ) from error
    weights = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.DEFAULT
    try:
        network = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=weights, weights_backbone=None, progress=False, box_score_thresh=threshold
        ).eval()
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise WeightsError(
            f"cannot have torchvision's weights ({str(error).splitlines()[0]}); save {weights.url} "
            f'in {torch.hub.get_dir()}/checkpoints, or take the detector "search"'
        ) from error
    person = weights.meta["categories"].index("person")

    @torch.inference_mode()
    def detect(picture: RGB) -> list[Box]:
        image = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        (found,) = network([image])
        x0, y0, x1, y1 = found["boxes"][found["labels"] == person].double().unbind(1)
        edges = torch.stack([x0, y0, x1, y1], dim=1)[(x1 > x0) & (y1 > y0)]
        return [(a, b, c, d) for a, b, c, d in edges.tolist()]

    return detect


DETECTORS: dict[str, Callable[[Reader], Detector]] = {
    "search": lambda reader: Search(reader=reader),
    "whole": lambda reader: whole,
    "torchvision": lambda reader: torchvision_people(),
}
"""Every built-in detector by name: given what asks the keypoint network, each makes a detector."""


def make(detector: str | Detector, reader: Reader) -> Detector:
    """Return a detector by name; a callable is one already.

    Args:
        detector: A key of `DETECTORS`, or a callable from picture to boxes.
        reader: Asks the keypoint network, for those that look with it.

    Raises:
        UnknownNameError: There is no such detector.
        MissingExtraError: It needs a package that is not installed.
        WeightsError: Its weights cannot be had.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.detectors import make, whole
        >>> reader = hgzoo.Predictor("hg1_nano").reader
        >>> make("whole", reader) is whole
        True
        >>> make(whole, reader) is whole
        True
        >>> make("windows", reader)
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown detector 'windows'; did you mean search, ...
    """
    if not isinstance(detector, str):
        return detector
    if detector not in DETECTORS:
        raise UnknownNameError("detector", detector, DETECTORS)
    return DETECTORS[detector](reader)


def sigmas_for(skeleton: Skeleton) -> tuple[float, ...]:
    """Return how far each keypoint may lie off, over the root of the area, [K].

    Examples:
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.detectors import sigmas_for
        >>> sigmas_for(SKELETONS["coco"])[:3], sigmas_for(SKELETONS["lsp"])[:3]
        ((0.026, 0.025, 0.025), (0.05, 0.05, 0.05))
    """
    if skeleton == SKELETONS["coco"]:
        return COCO_SIGMAS
    return (USUAL_SIGMA,) * skeleton.num_keypoints
