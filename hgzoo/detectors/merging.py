"""One pose a person: which of several are of the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hgzoo.geometry import Box, similarity

SAME = 0.3
"""Two poses in one picture that are so similar (OKS) are taken for one person's."""


class HasPose(Protocol):
    """Somebody's keypoints, [K, 2], picture pixels, and their box."""

    @property
    def keypoints(self) -> NDArray[np.float64]:
        """(x, y), [K, 2], picture pixels."""

    @property
    def box(self) -> Box:
        """(x0, y0, x1, y1), edges, picture pixels."""


Found = TypeVar("Found", bound=HasPose)


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
        >>> from hgzoo.detectors import distinct
        >>> lsp = SKELETONS["lsp"]
        >>> one = Pose(
        ...     keypoints=np.zeros((14, 2)),
        ...     scores=np.ones(14),
        ...     names=lsp.keypoints,
        ...     box=(0.0, 0.0, 100.0, 100.0),
        ...     skeleton=lsp,
        ... )
        >>> far = replace(one, keypoints=one.keypoints + 50.0)
        >>> len(distinct([one, one, far], sigmas=lsp.sigmas))
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
