"""Half a body, things in front, a neighbor: what people look like in a crowd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hgzoo.data.samples import Sample
from hgzoo.geometry import MPII_PERSON_PIXELS, Crop, Points, corners

HALF_LEAST = 3
"""Annotated keypoints that a half needs to be shown alone."""

BODY_LEAST = 8
"""Annotated keypoints that a person needs to be shown by half."""

HALF_PADDING = 1.2
"""A half is so many times its keypoints' longer side: hands, feet and hair reach beyond them."""

PATCHES = (1, 3)
"""How many patches hide parts of a crop."""

PATCH_SIDES = (0.1, 0.35)
"""Height and width of a patch, of the crop's."""

NEIGHBOR_SIZES = (0.7, 1.2)
"""A neighbor's extent, of the person's."""

NEIGHBOR_PLACES = (0.45, 0.8)
"""How far a neighbor's middle is from the person's, of the person's extent: farther, crops end."""

NEIGHBOR_MARGIN = 0.1
"""What is cut out round a neighbor's keypoints, of its extent."""

FRONT_MARGIN = 0.06
"""What is kept round a person's keypoints in front of a neighbor, of the person's extent."""


def half_body(
    sample: Sample, halves: Sequence[Sequence[int]], random: np.random.Generator
) -> Sample:
    """Take the upper or the lower half of a person for the whole.

    Args:
        sample: The person.
        halves: Indexes of the upper keypoints, and of the lower ones.
        random: Where the choice comes from.

    Returns:
        The person with center and scale of a half; as it was where too few keypoints are
        annotated. Every keypoint stays: the crop decides which are to be seen.
    """
    seen = [sample.keypoints[half][sample.visible[half]] for half in map(list, halves)]
    shown = [xy for xy in seen if len(xy) >= HALF_LEAST and _extent(xy) > 0.0]
    if not shown or sample.visible.sum() < BODY_LEAST:
        return sample
    xy = shown[int(random.integers(len(shown)))]
    x, y = _middle(xy)
    scale = _extent(xy) * HALF_PADDING / MPII_PERSON_PIXELS
    return replace(sample, center=(x, y), scale=min(scale, sample.scale))


def patches(size: tuple[int, int], random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw one to three upright rectangles and ellipses, anywhere in a crop.

    Args:
        size: (height, width) of the crop.
        random: Where the numbers come from.

    Returns:
        True within them, [*size, 1].
    """
    mask = np.zeros(size, np.uint8)
    for _ in range(int(random.integers(PATCHES[0], PATCHES[1] + 1))):
        y, x = (random.random(2) * size).astype(int).tolist()
        height, width = np.rint(random.uniform(*PATCH_SIDES, size=2) * size).astype(int).tolist()
        if random.random() < 1 / 2:
            top, left = max(y - height // 2, 0), max(x - width // 2, 0)
            mask[top : y - height // 2 + height, left : x - width // 2 + width] = 1
        else:
            cv2.ellipse(mask, (x, y), (width // 2, height // 2), 0.0, 0.0, 360.0, 1, cv2.FILLED)
    return mask[..., None] > 0


def plain(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return noise or a picture's mean color, as large as the picture, [H, W, 3]."""
    if random.random() < 1 / 2:
        return random.integers(256, size=image.shape, dtype=np.uint8)
    return np.broadcast_to(image.mean((0, 1)).astype(np.uint8), image.shape)


def whole(sample: Sample) -> bool:
    """Tell whether enough of a person is annotated to stand beside another one."""
    seen = sample.keypoints[sample.visible]
    return 2 * len(seen) >= len(sample.keypoints) and _extent(seen) > 0.0


def place_beside(sample: Sample, crop: Crop, neighbor: Sample, random: np.random.Generator) -> Crop:
    """Draw where a neighbor stands: left or right of a person, near, and of about its size.

    Args:
        sample: The person.
        crop: Where its picture lies in the crop.
        neighbor: The other one, `whole`.
        random: Where the numbers come from.

    Returns:
        Where the neighbor's picture lies in the same crop, turned as the person's is.
    """
    extent = sample.scale * MPII_PERSON_PIXELS * crop.size[0] / crop.extent[0]  # crop pixels
    size, place = random.uniform(*NEIGHBOR_SIZES), random.uniform(*NEIGHBOR_PLACES)
    side = 2 * int(random.integers(2)) - 1
    xy = neighbor.keypoints[neighbor.visible]
    unit = _extent(xy) / (size * extent)
    centered = Crop(
        _middle(xy), (crop.size[0] * unit, crop.size[1] * unit), crop.size, crop.rotation
    )
    middle = centered.to_crop(np.array(_middle(xy)))
    wanted = crop.to_crop(np.array(sample.center)) + np.array([side * place * extent, 0.0])
    x, y = centered.to_picture(2 * middle - wanted).tolist()
    return replace(centered, center=(x, y))


def paste(
    image: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    crop: Crop,
    xy: Points,
    front: Points | None,
) -> NDArray[np.uint8]:
    """Lay a person of another picture over a crop, with soft edges.

    Args:
        image: The crop, [H, W, 3], 0..255.
        picture: The other picture, [*, *, 3], 0..255.
        crop: Where it lies in the crop.
        xy: The other person's keypoints, [N, 2], pixels of its picture.
        front: Keypoints of who stays in front, [M, 2], crop pixels; None where nobody does.

    Returns:
        [H, W, 3], 0..255.
    """
    outline = crop.to_crop(xy)
    weight = _round(outline, crop.size, NEIGHBOR_MARGIN * _extent(outline))
    height, width = picture.shape[:2]
    ends = np.rint(crop.to_crop(corners((0.0, 0.0, float(width), float(height)))))
    covered = cv2.fillConvexPoly(np.zeros(crop.size, np.uint8), ends.astype(np.int32), 1)
    weight *= cv2.erode(covered, np.ones((3, 3), np.uint8))  # warped edges mix with black
    if front is not None:
        weight *= 1.0 - _round(front, crop.size, FRONT_MARGIN * _extent(front))
    mixed = image + weight[..., None] * (crop.warp(picture).astype(np.float32) - image)
    return np.rint(mixed).astype(np.uint8)


def _round(xy: Points, size: tuple[int, int], margin: float) -> NDArray[np.float32]:
    """Return 1 within so many pixels of the points' hull and 0 beyond, softly, [*size]."""
    mask = np.zeros(size, np.float32)
    hull = cv2.convexHull(np.rint(xy).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1.0)
    cv2.polylines(mask, [hull], True, 1.0, thickness=max(round(2 * margin), 1))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(margin / 4, 0.5)), np.float32)


def _extent(xy: Points) -> float:
    """Longer side of the points' box, 0 of no points."""
    return float(np.ptp(xy, axis=0).max()) if len(xy) else 0.0


def _middle(xy: Points) -> tuple[float, float]:
    """Middle of the points' box."""
    x, y = (xy.min(0) + xy.max(0)) / 2
    return float(x), float(y)
