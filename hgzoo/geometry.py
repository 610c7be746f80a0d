"""Where a pixel is: picture, crop and heatmap, and the way between them. The only home of 0.5.

Integer coordinates are pixel centers, 0-based, in every frame: (0, 0) is the center of the
top-left pixel. Edges are what boxes count: a box (0, 0, W, H) covers a picture of W x H pixels
wholly, and its left edge lies at x = -0.5.

A crop is a rectangle of the picture, perhaps rotated, brought to a fixed size. It comes from a box
(what users have) or from center and scale (what MPII gives); both become one `Crop`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

MPII_PERSON_PIXELS = 200.0
"""MPII's unit: a person of scale 1 is 200 pixels tall."""

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]
XY = TypeVar("XY", "Tensor", Points)


def crop_to_heatmap(xy: XY, stride: int) -> XY:
    """Map crop pixels to heatmap pixels.

    Args:
        xy: [..., 2], crop pixels.
        stride: Crop pixels per heatmap pixel.

    Returns:
        [..., 2], heatmap pixels.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import crop_to_heatmap
        >>> crop_to_heatmap(np.array([1.5, 5.5]), stride=4).tolist()
        [0.0, 1.0]
    """
    return (xy + 0.5) / stride - 0.5


def heatmap_to_crop(xy: XY, stride: int) -> XY:
    """Map heatmap pixels to crop pixels, the inverse of `crop_to_heatmap`.

    Args:
        xy: [..., 2], heatmap pixels.
        stride: Crop pixels per heatmap pixel.

    Returns:
        [..., 2], crop pixels.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import heatmap_to_crop
        >>> heatmap_to_crop(np.array([0.0, 1.0]), stride=4).tolist()
        [1.5, 5.5]
    """
    return (xy + 0.5) * stride - 0.5


def inside(xy: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which points lie within the edges of a picture.

    Args:
        xy: [..., 2], pixels of that picture.
        size: Its (height, width).

    Returns:
        [...], bool.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import inside
        >>> inside(np.array([[0.0, 0.0], [9.5, 0.0], [9.6, 0.0]]), size=(20, 10)).tolist()
        [True, True, False]
    """
    height, width = size
    return np.asarray(((xy >= -0.5) & (xy <= [width - 0.5, height - 0.5])).all(-1))


def tight_box(xy: Points) -> Box:
    """Return the edges between which points lie: (x0, y0, x1, y1) of [K, 2], the same pixels.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import tight_box
        >>> tight_box(np.array([[0.0, 0.0], [9.0, 19.0]]))
        (0.5, 0.5, 9.5, 19.5)
    """
    (x0, y0), (x1, y1) = xy.min(0) + 0.5, xy.max(0) + 0.5
    return float(x0), float(y0), float(x1), float(y1)


def corners(box: Box) -> Points:
    """Return a box's corners, [4, 2], pixels, in the order of a walk round it.

    Examples:
        >>> from hgzoo.geometry import corners
        >>> corners((0.0, 0.0, 10.0, 20.0)).tolist()
        [[-0.5, -0.5], [9.5, -0.5], [9.5, 19.5], [-0.5, 19.5]]
    """
    x0, y0, x1, y1 = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64) - 0.5


def box_around(xy: Points, size: tuple[int, int]) -> Box:
    """Return the box of points, cut to a picture and at least a pixel wide and high.

    Args:
        xy: (x, y), [K, 2], pixels of that picture; they may lie outside.
        size: Its (height, width).

    Returns:
        (x0, y0, x1, y1), edges, pixels of that picture.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import box_around
        >>> box_around(np.array([[3.0, 4.0], [100.0, 4.0]]), size=(20, 10))
        (3.5, 4.0, 10.0, 5.0)
    """
    limit = np.array([size[1], size[0]], np.float64)
    low = np.clip(xy.min(0) + 0.5, 0.0, limit)
    high = np.clip(xy.max(0) + 0.5, 0.0, limit)
    short = np.maximum(1.0 - (high - low), 0.0) / 2
    low = np.clip(low - short, 0.0, limit - 1.0)
    high = np.maximum(high + short, low + 1.0).clip(max=limit)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def middle(start: float, end: float) -> float:
    """Return the coordinate halfway between two edges.

    Examples:
        >>> from hgzoo.geometry import middle
        >>> middle(0.0, 10.0)  # of ten pixels, numbered 0 to 9
        4.5
    """
    return (start + end) / 2 - 0.5


def halfway(one: Box, other: Box) -> Box:
    """Return the box whose edges lie halfway between those of two boxes.

    Examples:
        >>> from hgzoo.geometry import halfway
        >>> halfway((0.0, 2.0, 10.0, 20.0), (2.0, 0.0, 20.0, 40.0))
        (1.0, 1.0, 15.0, 30.0)
    """
    x0, y0, x1, y1 = ((a + b) / 2 for a, b in zip(one, other, strict=True))
    return x0, y0, x1, y1


def overlap(one: Box, other: Box) -> float:
    """Return the area two boxes share over the area both cover (IoU), 0..1.

    Examples:
        >>> from hgzoo.geometry import overlap
        >>> overlap((0.0, 0.0, 2.0, 2.0), (1.0, 0.0, 3.0, 2.0)) == 1 / 3
        True
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return shared / max(sum(areas) - shared, 1e-12)


def flip_keypoints(xy: Points, *, width: int, flip_index: list[int]) -> Points:
    """Mirror keypoints left to right and rename left and right.

    Args:
        xy: [..., K, 2], pixels of a picture of that width.
        width: Pixels.
        flip_index: `Skeleton.flip_index`.

    Returns:
        [..., K, 2], pixels of the mirrored picture.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import flip_keypoints
        >>> left_right = np.array([[1.0, 5.0], [8.0, 6.0]])
        >>> flip_keypoints(left_right, width=10, flip_index=[1, 0]).tolist()
        [[1.0, 6.0], [8.0, 5.0]]
    """
    mirrored = xy[..., flip_index, :].copy()
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    return mirrored


def flip_heatmaps(heatmaps: Tensor, *, flip_index: list[int]) -> Tensor:
    """Mirror heatmaps left to right and rename left and right.

    A heatmap pixel stands for the middle of its 4x4 crop pixels, and the mirror image of such a
    cell is a cell again: the mirror of a heatmap is its columns in reverse, without any shift.

    Args:
        heatmaps: [B, K, H, W].
        flip_index: `Skeleton.flip_index`.

    Returns:
        [B, K, H, W], heatmaps of the mirrored picture.

    Examples:
        >>> import torch
        >>> from hgzoo.geometry import flip_heatmaps
        >>> heatmaps = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.0, 0.0, 2.0]]]])  # [1, 2, 1, 3]
        >>> flip_heatmaps(heatmaps, flip_index=[1, 0])[0, :, 0].tolist()
        [[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return heatmaps[:, flip_index].flip(-1)


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture, perhaps rotated, brought to a fixed size.

    Attributes:
        center: (x, y) of its middle, picture pixels.
        extent: (height, width) of what it shows, picture pixels.
        size: (height, width) it is brought to, crop pixels.
        rotation: Degrees by which the picture's content turns clockwise on its way into the crop.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import Crop
        >>> crop = Crop.from_box((0, 0, 100, 50), size=(128, 128))  # a picture of 100 x 50, wholly
        >>> crop.rectangle
        (0.0, -25.0, 100.0, 75.0)
        >>> crop.to_picture(np.array([63.5, 63.5])).tolist()
        [49.5, 24.5]
        >>> crop.warp(np.zeros((50, 100, 3), np.uint8)).shape
        (128, 128, 3)
    """

    center: tuple[float, float]
    extent: tuple[float, float]
    size: tuple[int, int]
    rotation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse rectangles without an area.

        Raises:
            InputError: A side is zero, negative or not a number.
        """
        numbers = (*self.center, *self.extent, self.rotation)
        if not all(map(math.isfinite, numbers)) or min(self.extent) <= 0.0:
            raise InputError(
                "a crop needs finite numbers and an area; got center ({:g}, {:g}), extent "
                "({:g}, {:g}) and rotation {:g}".format(*numbers)
            )

    @classmethod
    def from_box(cls, box: Box, *, size: tuple[int, int], padding: float = 1.0) -> Crop:
        """Cover a box, widened to the crop's shape so that nothing is stretched.

        Args:
            box: (x0, y0, x1, y1), edges, picture pixels; (0, 0, W, H) is the whole picture.
            size: (height, width) of the crop.
            padding: Show this times the box in each direction.

        Raises:
            InputError: The box has no area.
        """
        x0, y0, x1, y1 = box
        if not (x1 > x0 and y1 > y0):
            raise InputError(f"a box is (x0, y0, x1, y1) with x1 > x0 and y1 > y0, got {box}")
        center = middle(x0, x1), middle(y0, y1)
        scale = max((y1 - y0) / size[0], (x1 - x0) / size[1]) * padding
        return cls(center, (size[0] * scale, size[1] * scale), size)

    @classmethod
    def from_center_scale(
        cls,
        center: tuple[float, float],
        scale: float,
        *,
        size: tuple[int, int],
        rotation: float = 0.0,
    ) -> Crop:
        """Cover a person given as MPII does.

        Args:
            center: (x, y) of the person's middle, picture pixels.
            scale: Height of what the crop shows, in units of 200 picture pixels.
            size: (height, width) of the crop.
            rotation: Degrees, clockwise.
        """
        height = scale * MPII_PERSON_PIXELS
        return cls(center, (height, height * size[1] / size[0]), size, rotation)

    @property
    def rectangle(self) -> Box:
        """Edges of what it shows, unrotated, picture pixels."""
        (x, y), (height, width) = self.center, self.extent
        x0, y0 = x + 0.5 - width / 2, y + 0.5 - height / 2
        return x0, y0, x0 + width, y0 + height

    @property
    def matrix(self) -> Points:
        """Affine map from picture pixels to crop pixels, [2, 3]."""
        angle = math.radians(self.rotation)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        zoom = np.diag([self.size[1] / self.extent[1], self.size[0] / self.extent[0]])
        linear = zoom @ turn
        middle = np.array([self.size[1], self.size[0]]) / 2 - 0.5
        return np.column_stack([linear, middle - linear @ np.array(self.center)])

    def to_crop(self, xy: Points) -> Points:
        """Map picture pixels to crop pixels, [..., 2] to [..., 2]."""
        matrix = self.matrix
        return xy @ matrix[:, :2].T + matrix[:, 2]

    def to_picture(self, xy: Points) -> Points:
        """Map crop pixels to picture pixels, [..., 2] to [..., 2]."""
        matrix = self.matrix
        return (xy - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T

    def warp(
        self, picture: NDArray[np.uint8], *, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Cut the crop out of a picture.

        What lies outside the picture is black. A picture that shrinks to less than half is first
        averaged over whole blocks, so that fine patterns do not alias.

        Args:
            picture: [H, W, C], 0..255.
            out: Where to write the crop, [*size, C], such as its place in a batch; None makes a
                new one.

        Returns:
            `out`, [*size, C], 0..255.
        """
        height, width = self.size
        part, matrix = self._part(picture)
        if out is None:
            out = np.empty((height, width, picture.shape[2]), np.uint8)
        if part.size:
            cv2.warpAffine(part, matrix, (width, height), dst=out, flags=cv2.INTER_LINEAR)
        else:
            out[...] = 0
        return out

    def _part(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Points]:
        """Return the piece of the picture that the crop sees, shrunk, and its map to the crop."""
        height, width = self.size
        ends = np.array([[-1.0, -1.0], [width, -1.0], [width, height], [-1.0, height]])
        seen = self.to_picture(ends)
        shrink = max(1, int(min(self.extent[0] / height, self.extent[1] / width)))
        low = np.floor(seen.min(0)) - shrink
        high = np.ceil(seen.max(0)) + shrink + 1
        limit = np.array([picture.shape[1], picture.shape[0]])
        low, high = np.clip([low, high], 0, limit).astype(int)
        # OpenCV averages whole blocks many times faster than blocks and a bit.
        (x0, y0), (x1, y1) = np.maximum(low - (low - high) % shrink, 0), high
        part = picture[y0:y1, x0:x1]
        if not part.size:
            return part, self.matrix
        small = np.maximum(np.array([x1 - x0, y1 - y0]) // shrink, 1)
        step = np.array([x1 - x0, y1 - y0]) / small  # picture pixels per pixel of the small part
        if shrink > 1:
            shrunk = cv2.resize(part, small.tolist(), interpolation=cv2.INTER_AREA)
            part = np.asarray(shrunk, np.uint8).reshape(*shrunk.shape[:2], -1)
        linear = self.matrix[:, :2]
        origin = np.array([x0, y0]) + 0.5 * step - 0.5  # the small part's pixel (0, 0)
        return part, np.column_stack([linear * step, linear @ origin + self.matrix[:, 2]])


def similarity(
    one: NDArray[np.float64], other: NDArray[np.float64], *, area: float, sigmas: Sequence[float]
) -> float:
    """Compare two poses by object keypoint similarity (OKS).

    The mean of exp(-d² / (2 area (2 sigma)²)) over all keypoints that both have, d being their
    distance.

    Args:
        one: [K, 2], picture pixels; NaN where a keypoint is missing.
        other: [K, 2], picture pixels, the same.
        area: Of the person, square picture pixels, above 0.
        sigmas: [K], over the root of the area.

    Returns:
        1 for equal poses, down to 0; 0 where they have no keypoint in common.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.geometry import similarity
        >>> one = np.zeros((2, 2))
        >>> similarity(one, one, area=100.0, sigmas=(0.05, 0.05))
        1.0
        >>> round(similarity(one, one + [1.0, 0.0], area=100.0, sigmas=(0.05, 0.05)), 3)
        0.607
    """
    squares = ((one - other) ** 2).sum(-1)
    both = ~np.isnan(squares)
    if not both.any():
        return 0.0
    return float(np.exp(-squares / (8.0 * area * np.square(sigmas)))[both].mean())
