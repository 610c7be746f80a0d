"""Skeletons and heatmaps as pictures. All take and return RGB, [H, W, 3], 0..255."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from hgzoo.geometry import Box, corners
from hgzoo.skeletons import Pose

RGB = NDArray[np.uint8]
Color = tuple[int, int, int]

LEFT: Color = (255, 140, 60)
RIGHT: Color = (40, 150, 255)
MIDDLE: Color = (120, 220, 90)
GRID: Color = (220, 220, 220)
INK: Color = (40, 40, 40)
PANEL = 256
GAP = 4
SMALLEST = 1e-6
LEAST_PROBABILITY = 0.5
LEAST_PEAK = 0.2
FINE = 4
"""OpenCV draws at sixteenths of a pixel when coordinates are shifted by so many bits."""


def least_score(*, calibrated: bool) -> float:
    """Return the smallest score that is drawn where nobody says.

    A calibrated keypoint is drawn from 0.5 on, where it is more likely right than not; a peak whose
    height is no probability from 0.2 on.

    Args:
        calibrated: Whether scores are probabilities; see `hgzoo.skeletons.Pose`.

    Examples:
        >>> from hgzoo.visualize import least_score
        >>> least_score(calibrated=True), least_score(calibrated=False)
        (0.5, 0.2)
    """
    return LEAST_PROBABILITY if calibrated else LEAST_PEAK


def draw_skeleton(picture: RGB, poses: Sequence[Pose], *, threshold: float | None = None) -> RGB:
    """Draw each person's limbs and keypoints over a picture.

    Left limbs are orange, right ones blue, those of the middle green: the person's own left and
    right. A keypoint whose score is below the threshold is drawn as absent, and so are its limbs.

    Args:
        picture: [H, W, 3].
        poses: People, in this picture's pixels.
        threshold: Smallest score to draw; None takes each pose's `least_score`.

    Returns:
        A new picture of the same size.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.pictures import load
        >>> from hgzoo.visualize import draw_skeleton
        >>> picture = load("photo.jpg")
        >>> drawn = draw_skeleton(picture, hgzoo.Predictor("hg1_nano")(picture))
        >>> drawn.shape == picture.shape, bool((drawn != picture).any())
        (True, True)
    """
    canvas = picture.copy()
    for pose in poses:
        x0, y0, x1, y1 = pose.box
        thickness = max(1, round(max(x1 - x0, y1 - y0) / 120))
        least = least_score(calibrated=pose.calibrated) if threshold is None else threshold
        sure = (pose.scores >= least) & _drawable(pose.keypoints)
        colors = _colors(pose)
        for first, second in pose.skeleton.limbs:
            if sure[first] and sure[second]:
                ends = pose.keypoints[[first, second]]
                _line(canvas, ends, _mix(colors[first], colors[second]), thickness)
        for index in np.flatnonzero(sure):
            _dot(canvas, pose.keypoints[index], colors[index], thickness)
    return canvas


def draw_boxes(picture: RGB, boxes: Sequence[Box], *, color: Color = GRID) -> RGB:
    """Draw boxes over a picture.

    Args:
        picture: [H, W, 3].
        boxes: (x0, y0, x1, y1), edges, in this picture's pixels; they may reach over it.
        color: Of the lines.

    Returns:
        A new picture of the same size.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.visualize import draw_boxes
        >>> drawn = draw_boxes(np.zeros((40, 60, 3), np.uint8), [(10, 5, 30, 25)])
        >>> bool(drawn[5, 20].any()), bool(drawn[15, 20].any())  # the edge, the middle
        (True, False)
    """
    canvas = picture.copy()
    thickness = max(1, round(max(picture.shape) / 300))
    for box in boxes:
        around = corners(box)
        for ends in zip(around, np.roll(around, -1, axis=0), strict=True):
            _line(canvas, np.array(ends), color, thickness)
    return canvas


def draw_heatmap(
    crop: RGB, heights: NDArray[np.float32], *, top: float | None = None, strength: float = 0.6
) -> RGB:
    """Lay heatmaps over the picture they were made from: dark where low, bright where high.

    Args:
        crop: What the network saw, [H, W, 3].
        heights: [K, h, w], of any size; K of them are laid over each other.
        top: The height that is brightest; None takes the highest there is.
        strength: How much of the picture is hidden, 0..1.

    Returns:
        A new picture of the crop's size.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.visualize import draw_heatmap
        >>> crop = np.zeros((64, 64, 3), np.uint8)
        >>> heights = np.zeros((2, 16, 16), np.float32)
        >>> heights[0, 4, 8] = 1.0
        >>> drawn = draw_heatmap(crop, heights)
        >>> drawn.shape, bool(drawn[18, 34].sum() > drawn[60, 5].sum())
        ((64, 64, 3), True)
    """
    heat = np.clip(heights.max(0), 0.0, None).astype(np.float32)
    heat = np.clip(heat / max(float(heat.max()) if top is None else top, SMALLEST), 0.0, 1.0)
    heat = cv2.resize(heat, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    drawn: RGB = (crop * (1 - strength) + colors * strength).astype(np.uint8)
    return drawn


def draw_stacks(crop: RGB, pose: Pose, *, keypoints: Sequence[int] | None = None) -> RGB:
    """Show the heatmaps of each stack side by side: how a guess is refined.

    All stacks share one scale of brightness. Small crops are enlarged to about 256 pixels.

    Args:
        crop: What the network saw, [H, W, 3].
        pose: With its `heatmaps`.
        keypoints: Indices of the heatmaps to lay over each other; None takes all.

    Returns:
        The crop and one panel a stack, from left to right, [H', W', 3]; the crop alone where the
        pose has no heatmaps.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.visualize import draw_stacks
        >>> predictor = hgzoo.Predictor("hg2_tiny")
        >>> box = (100, 80, 300, 460)
        >>> (pose,) = predictor("photo.jpg", boxes=[box], heatmaps=True)
        >>> draw_stacks(predictor.view("photo.jpg", box), pose).shape  # the crop and two stacks
        (256, 776, 3)
    """
    zoom = max(1, round(PANEL / crop.shape[0]))
    large = cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    panels: list[RGB] = [np.asarray(large, np.uint8)]
    if pose.heatmaps is not None:
        stacks = pose.heatmaps if keypoints is None else pose.heatmaps[:, list(keypoints)]
        gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
        for number, stack in enumerate(stacks, 1):
            panel = draw_heatmap(panels[0], stack, top=float(stacks.max()))
            place = (10, panel.shape[0] - 12)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(panel, f"stack {number}", place, font, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
            panels += [gap, panel]
    return np.hstack(panels)


def draw_curves(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    top: float = 100.0,
    size: tuple[int, int] = (480, 720),
) -> RGB:
    """Draw curves over one axis, with a grid and a key.

    Args:
        x: Where the curves are known, rising, [T].
        curves: Heights of each curve at those places, [T], by name; nan leaves a gap.
        x_label: What the horizontal axis is.
        top: Upper end of the vertical axis, which begins at 0.
        size: (height, width) of the picture, pixels.

    Returns:
        [*size, 3], 0..255.

    Examples:
        >>> from hgzoo.visualize import draw_curves
        >>> curves = {"hg2_tiny": [0.0, 40.0, 80.0]}
        >>> draw_curves([0.0, 0.1, 0.2], curves, x_label="threshold", size=(240, 400)).shape
        (240, 400, 3)
    """
    height, width = size
    canvas = np.full((height, width, 3), 255, np.uint8)
    left, right, upper, lower = 56, width - 190, 20, height - 48

    def place(across: float, up: float) -> tuple[int, int]:
        share = (across - x[0]) / max(x[-1] - x[0], SMALLEST)
        return round(left + share * (right - left)), round(lower - up / top * (lower - upper))

    for share in np.linspace(0.0, 1.0, 6):
        across, up = x[0] + share * (x[-1] - x[0]), share * top
        cv2.line(canvas, place(x[0], up), place(x[-1], up), GRID, 1)
        cv2.line(canvas, place(across, 0.0), place(across, top), GRID, 1)
        _text(canvas, f"{up:.0f}", (left - 40, place(x[0], up)[1] + 5))
        _text(canvas, f"{across:.2f}", (place(across, 0.0)[0] - 16, lower + 20))
    _text(canvas, x_label, (left, height - 8))
    wheel = _wheel(len(curves), saturation=0.9, value=0.75)
    for values, color in zip(curves.values(), wheel, strict=True):
        points = [place(a, v) if np.isfinite(v) else None for a, v in zip(x, values, strict=True)]
        for one, other in pairwise(points):
            if one and other:
                cv2.line(canvas, one, other, color, 2, cv2.LINE_AA)
    _key(canvas, dict(zip(curves, wheel, strict=True)), (right + 14, upper + 8))
    return canvas


def draw_bars(
    groups: Mapping[str, Mapping[str, float]],
    *,
    label: str,
    line: float | None = None,
    size: tuple[int, int] = (480, 720),
) -> RGB:
    """Draw bars in groups, each with its height above it, and a key.

    Args:
        groups: Heights of the bars, 0 or more, by name, in groups by name; a name has one color
            in all groups.
        label: What the heights are.
        line: A height to mark across all groups.
        size: (height, width) of the picture, pixels.

    Returns:
        [*size, 3], 0..255.

    Examples:
        >>> from hgzoo.visualize import draw_bars
        >>> groups = {"one picture": {"torch": 1.4, "openvino": 2.1}}
        >>> draw_bars(groups, label="times as fast", line=1.0, size=(240, 400)).shape
        (240, 400, 3)
    """
    height, width = size
    canvas = np.full((height, width, 3), 255, np.uint8)
    left, right, upper, lower = 20, width - 190, 44, height - 48
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    colors = dict(zip(names, _wheel(len(names), saturation=0.9, value=0.75), strict=True))
    top = max([SMALLEST, line or 0.0, *(v for bars in groups.values() for v in bars.values())])
    places = sum(len(bars) + 1 for bars in groups.values())
    step = (right - left) / max(1, places)
    x = left + step / 2
    for group, bars in groups.items():
        _text(canvas, group, (round(x), lower + 20))
        for name, value in bars.items():
            peak = round(lower - value / top * (lower - upper))
            cv2.rectangle(canvas, (round(x), peak), (round(x + step) - 3, lower), colors[name], -1)
            _text(canvas, f"{value:.2f}", (round(x), peak - 5))
            x += step
        x += step
    for up in (0.0, *([] if line is None else [line])):
        row = round(lower - up / top * (lower - upper))
        cv2.line(canvas, (left, row), (right, row), INK, 1)
    _text(canvas, label, (left, 20))
    _key(canvas, colors, (right + 14, upper + 8))
    return canvas


def _wheel(number: int, *, saturation: float, value: float) -> list[Color]:
    """Return colors spread evenly over all hues."""
    hues = [colorsys.hsv_to_rgb(i / max(1, number), saturation, value) for i in range(number)]
    return [(round(r * 255), round(g * 255), round(b * 255)) for r, g, b in hues]


def _key(canvas: RGB, colors: Mapping[str, Color], place: tuple[int, int]) -> None:
    """Tell which color is what, from `place` (x, y) down."""
    x, y = place
    for number, (name, color) in enumerate(colors.items()):
        cv2.line(canvas, (x, y + 22 * number), (x + 20, y + 22 * number), color, 3)
        _text(canvas, name, (x + 26, y + 22 * number + 5))


def _text(canvas: RGB, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)


def _colors(pose: Pose) -> list[Color]:
    """Color keypoints by side; those of a skeleton without sides by their place on a wheel."""
    if not pose.skeleton.flip_pairs:
        return _wheel(len(pose.names), saturation=0.8, value=1.0)
    sides = {"left": LEFT, "right": RIGHT}
    return [sides.get(name.partition("_")[0], MIDDLE) for name in pose.names]


def _mix(one: Color, other: Color) -> Color:
    """Limbs that leave the middle take the color of their side; those across are of the middle."""
    if one == other or other == MIDDLE:
        return one
    return other if one == MIDDLE else MIDDLE


def _drawable(xy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Leave out what OpenCV's whole numbers cannot hold."""
    return np.asarray((np.abs(xy) < 2**20).all(1))


def _fixed(xy: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.round(xy * 2**FINE).astype(int).tolist()
    return x, y


def _line(canvas: RGB, ends: NDArray[np.float64], color: Color, thickness: int) -> None:
    first, second = _fixed(ends[0]), _fixed(ends[1])
    cv2.line(canvas, first, second, (0, 0, 0), thickness + 2, cv2.LINE_AA, FINE)
    cv2.line(canvas, first, second, color, thickness, cv2.LINE_AA, FINE)


def _dot(canvas: RGB, xy: NDArray[np.float64], color: Color, thickness: int) -> None:
    radius = (thickness + 1) << FINE
    cv2.circle(canvas, _fixed(xy), radius + (1 << FINE), (0, 0, 0), -1, cv2.LINE_AA, FINE)
    cv2.circle(canvas, _fixed(xy), radius, color, -1, cv2.LINE_AA, FINE)
