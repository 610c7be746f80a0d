"""One annotated person: what every dataset yields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import DataError
from hgzoo.geometry import MPII_PERSON_PIXELS


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One person in one picture.

    Attributes:
        path: The picture.
        keypoints: (x, y), [K, 2], picture pixels, 0-based, float64; anything where not visible.
        visible: Annotated and usable, [K]. A hidden joint with a known place is visible here.
        center: (x, y), the person's middle, picture pixels.
        scale: The person's extent over 200 picture pixels, MPII's unit.
    """

    path: Path
    keypoints: NDArray[np.float64]
    visible: NDArray[np.bool_]
    center: tuple[float, float]
    scale: float


def sample_from_keypoints(
    path: Path, keypoints: NDArray[np.float64], visible: NDArray[np.bool_]
) -> Sample:
    """Derive center and scale of a person from its keypoints.

    The middle of the visible keypoints' bounding box is the center; its longer side is the
    extent.

    Args:
        path: The picture.
        keypoints: [K, 2], picture pixels, 0-based.
        visible: [K], at least two.

    Raises:
        DataError: Fewer than two visible keypoints, or all at one place.
    """
    seen = keypoints[visible]
    extent = float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0
    if extent <= 0.0:
        raise DataError(f"{path}: a person needs two visible keypoints at different places")
    x, y = (seen.min(0) + seen.max(0)) / 2
    return Sample(
        path=path,
        keypoints=keypoints,
        visible=visible,
        center=(float(x), float(y)),
        scale=extent / MPII_PERSON_PIXELS,
    )
