"""What a visitor chose: a picture, and a box in it that was drawn or typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hgzoo import pictures
from hgzoo.errors import InputError
from hgzoo.geometry import Box, tight_box
from hgzoo.pictures import RGB
from hgzoo.visualize import draw_boxes

MOST_BYTES = 32 * 2**20
MOST_PIXELS = 50_000_000
"""A page takes no larger pictures: those of most telephones are smaller."""

SHOWN = 1024
"""Longer side of what the page shows, pixels; a larger picture is shown smaller."""

BOX_COLOR = (255, 60, 160)

Corner = tuple[int, int]
"""(x, y) of a pixel that was clicked in what is shown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture that was read.

    Attributes:
        name: The file's own name.
        pixels: [H, W, 3], RGB, 0..255, upright.
        shown: The same, at most `SHOWN` pixels wide and high.
    """

    name: str
    pixels: RGB
    shown: RGB

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        height, width = self.pixels.shape[:2]
        return height, width


def open_picture(path: Path) -> Picture:
    """Read a file that somebody sent.

    Raises:
        InputError: It is no picture, damaged, or too large. The message names the file without
            the folder it lies in.
    """
    try:
        _check_size(path)
        pixels = pictures.load(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), path.name)) from error
    return Picture(name=path.name, pixels=pixels, shown=shrunk(pixels))


def shrunk(pixels: RGB) -> RGB:
    """Return a picture in the size in which it is shown."""
    height, width = pixels.shape[:2]
    scale = SHOWN / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def with_box(picture: Picture, box: Box | None, *, corner: Corner | None = None) -> RGB:
    """Return the picture as it is shown, with a box, or the first corner of one."""
    boxes = [] if box is None else [in_shown(picture, box)]
    if corner is not None:
        x, y = corner
        reach = max(3, max(picture.shown.shape) // 150)
        boxes.append((x - reach, y - reach, x + reach + 1, y + reach + 1))
    return draw_boxes(picture.shown, boxes, color=BOX_COLOR) if boxes else picture.shown


def in_shown(picture: Picture, box: Box) -> Box:
    """Return where a box of the picture is in what is shown."""
    (x0, y0, x1, y1), (down, across) = box, _scale(picture)
    return x0 / across, y0 / down, x1 / across, y1 / down


def drawn_box(picture: Picture, first: Corner, second: Corner) -> Box:
    """Return the box between two clicks.

    Args:
        picture: Where it was clicked.
        first: One corner, the middle of a pixel of what is shown.
        second: The opposite one.

    Returns:
        (x0, y0, x1, y1), edges, pixels of the picture, to a tenth of a pixel.
    """
    x0, y0, x1, y1 = tight_box(np.array([first, second], np.float64))
    down, across = _scale(picture)
    edges = x0 * across, y0 * down, x1 * across, y1 * down
    x0, y0, x1, y1 = (round(edge, 1) for edge in edges)
    return x0, y0, x1, y1


def typed_box(edges: Sequence[float | None]) -> Box | None:
    """Return the box of four fields, x0, y0, x1, y1; None where all are empty.

    Raises:
        InputError: Some are empty, or the box has no area.
    """
    given = [edge for edge in edges if edge is not None]
    if not given:
        return None
    if len(given) < 4:
        raise InputError("A box needs all four edges; leave all empty to look for people.")
    x0, y0, x1, y1 = map(float, given)
    if not (x1 > x0 and y1 > y0):
        raise InputError("A box needs right > left and bottom > top.")
    return x0, y0, x1, y1


def _check_size(path: Path) -> None:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES // 2**20} MB")
    height, width = pictures.size_of(path)
    if height * width > MOST_PIXELS:
        raise InputError(
            f"{path} has {width} x {height} pixels; "
            f"this page takes at most {MOST_PIXELS // 10**6} million"
        )


def _scale(picture: Picture) -> tuple[float, float]:
    """Return how many pixels of the picture a shown one stands for: (down, across)."""
    down, across = (
        whole / part
        for whole, part in zip(picture.pixels.shape[:2], picture.shown.shape[:2], strict=True)
    )
    return down, across
