"""Where to look: windows that slide over a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hgzoo.geometry import Box, Crop, middle
from hgzoo.pictures import RGB


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
