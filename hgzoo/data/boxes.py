"""People as boxes: what a network learns that finds them where nobody says where they are.

A person's keypoints are the middle of the box of the labeled joints and the middles of its four
edges (skeleton "box"). Training draws windows that show the person anywhere and in any size, by
the recipe's scale and shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.lsp import lsp_train, lsp_validation, lspet_cleaned_train
from hgzoo.data.samples import Sample
from hgzoo.geometry import MPII_PERSON_PIXELS
from hgzoo.skeletons import SKELETONS

LEAST_JOINTS = 10
"""People with fewer labeled joints are left out: nobody knows how far they reach."""

SHIFT, ZOOM = 0.3, 0.8
"""Windows to judge by are off the person by up to so much of the extent, and of so many octaves."""


def box_points(sample: Sample) -> NDArray[np.float64]:
    """Return the middle of a person's box and of its left, top, right and bottom edge, [5, 2].

    The same pixels as the keypoints'; the box is that of the labeled ones.
    """
    seen = sample.keypoints[sample.visible]
    (x0, y0), (x1, y1) = seen.min(0), seen.max(0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return np.array([(x, y), (x0, y), (x, y0), (x1, y), (x, y1)])


def as_boxes(samples: Sequence[Sample]) -> list[Sample]:
    """Turn people's joints into the points of their boxes; distances count by the extent."""
    number = SKELETONS["box"].num_keypoints
    return [
        replace(
            sample,
            keypoints=box_points(sample),
            visible=np.ones(number, bool),
            hidden=np.zeros(number, bool),
            reference=sample.scale * MPII_PERSON_PIXELS,
        )
        for sample in samples
        if sample.visible.sum() >= LEAST_JOINTS
    ]


def lspet_boxes_train(root: Path) -> list[Sample]:
    """Read the boxes of LSPET pictures 1 to 9700; see `hgzoo.data.lsp.lspet_cleaned_train`."""
    return as_boxes(lspet_cleaned_train(root))


def lsp_boxes_train(root: Path) -> list[Sample]:
    """Read the boxes of LSP pictures 1 to 800; see `hgzoo.data.lsp.lsp_train`."""
    return as_boxes(lsp_train(root))


def lsp_boxes_validation(root: Path) -> list[Sample]:
    """Read the boxes of LSP training pictures 801 to 1000, each in a window that is off.

    Center and scale are not the person's: shifted and zoomed at random, the same way each time.
    """
    random = np.random.default_rng(0)
    windows = []
    for sample in as_boxes(lsp_validation(root)):
        shift = random.uniform(-SHIFT, SHIFT, 2) * sample.scale * MPII_PERSON_PIXELS
        zoom = 2.0 ** random.uniform(-ZOOM, ZOOM)
        x, y = np.array(sample.center) + shift
        windows.append(replace(sample, center=(float(x), float(y)), scale=sample.scale * zoom))
    return windows
