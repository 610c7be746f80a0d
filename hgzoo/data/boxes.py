"""People as boxes: what a network learns that finds them where nobody says where they are.

A person's keypoints are the middle of the body's box and the middles of its four edges (skeleton
"box"). Training draws windows that show the person anywhere and in any size, by the recipe's scale
and shift, and everybody else who is in them; windows of backgrounds show nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.coco import read_annotations
from hgzoo.data.lsp import lsp_train, lsp_validation, lspet_cleaned_train
from hgzoo.data.people import held_out, never_trained_on, people_annotations, read_people
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.geometry import MPII_PERSON_PIXELS, Box, middle
from hgzoo.pictures import size_of
from hgzoo.skeletons import SKELETONS

LEAST_JOINTS = 10
"""People of LSP and LSPET with fewer joints are left out: nobody knows how far they reach."""

BODY_MARGIN = 0.08
"""How far the body reaches beyond its joints, of their longer side: to the left, to the right and
down. LSP's head_top is as high as the body."""

KEPT_FOR_JUDGING = 5
"""Every so many backgrounds one is not trained on."""

BACKGROUND_PARTS = (0.65, 0.35)
"""Extents that the windows of a background are made for, as if of a person, over the picture's
longer side: in the middle, and in each corner."""

SHIFT, ZOOM = 0.3, 0.8
"""Windows to judge by are off the person by up to so much of the extent, and of so many octaves."""


def box_points(box: Box) -> NDArray[np.float64]:
    """Return the middle of a box and of its left, top, right and bottom edge, [5, 2].

    Args:
        box: (x0, y0, x1, y1), edges, image pixels.

    Returns:
        (x, y), image pixels, where integers are the pixels' centers.

    Examples:
        >>> from hgzoo.data.boxes import box_points
        >>> box_points((0.0, 0.0, 4.0, 2.0)).tolist()
        [[1.5, 0.5], [-0.5, 0.5], [1.5, -0.5], [3.5, 0.5], [1.5, 1.5]]
    """
    x0, y0, x1, y1 = box
    x, y = middle(x0, x1), middle(y0, y1)
    return np.array([(x, y), (x0 - 0.5, y), (x, y0 - 0.5), (x1 - 0.5, y), (x, y1 - 0.5)])


def box_between(points: NDArray[np.float64]) -> Box:
    """Return the box of the points that `box_points` gives: edges, image pixels."""
    return (
        float(points[1, 0] + 0.5),
        float(points[2, 1] + 0.5),
        float(points[3, 0] + 0.5),
        float(points[4, 1] + 0.5),
    )


def body_box(sample: Sample) -> Box:
    """Return the body's box of somebody with LSP's joints: edges, image pixels."""
    seen = sample.keypoints[sample.visible] + 0.5
    (x0, y0), (x1, y1) = seen.min(0).tolist(), seen.max(0).tolist()
    margin = BODY_MARGIN * max(x1 - x0, y1 - y0)
    return x0 - margin, y0, x1 + margin, y1 + margin


def as_boxes(samples: Sequence[Sample]) -> list[Sample]:
    """Turn people with LSP's joints into the points of their boxes."""
    return [
        _as_box(sample, body_box(sample))
        for sample in samples
        if sample.visible.sum() >= LEAST_JOINTS
    ]


def _as_box(sample: Sample, box: Box) -> Sample:
    """Take a box for a person; distances count by its extent."""
    number = SKELETONS["box"].num_keypoints
    x0, y0, x1, y1 = box
    extent = max(x1 - x0, y1 - y0)
    return replace(
        sample,
        keypoints=box_points(box),
        visible=np.ones(number, bool),
        hidden=np.zeros(number, bool),
        center=(middle(x0, x1), middle(y0, y1)),
        scale=extent / MPII_PERSON_PIXELS,
        reference=extent,
    )


def lspet_boxes_train(root: Path) -> list[Sample]:
    """Read the boxes of LSPET pictures 1 to 9700; see `hgzoo.data.lsp.lspet_cleaned_train`.

    One person a picture is labeled, whoever else is in it.
    """
    return _unsure(as_boxes(lspet_cleaned_train(root)))


def lsp_boxes_train(root: Path) -> list[Sample]:
    """Read the boxes of LSP pictures 1 to 800; see `hgzoo.data.lsp.lsp_train`."""
    return as_boxes(lsp_train(root))


def lsp_boxes_validation(root: Path) -> list[Sample]:
    """Read the boxes of LSP training pictures 801 to 1000, each in a window that is off.

    Center and scale are not the person's: shifted and zoomed at random, the same way each time.
    """
    return off_center(as_boxes(lsp_validation(root)))


def people_boxes_train(root: Path) -> list[Sample]:
    """Read the boxes of everyday people, less the held-out images; see `hgzoo.data.people`.

    Everybody else in an image is company. Images that MoveNet annotated are incomplete.

    Args:
        root: The folder that holds "people".

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    return read_boxes(root, lambda name: name not in never_trained_on())


def people_boxes_validation(root: Path) -> list[Sample]:
    """Read the boxes of half of the held-out images, to choose by; see `lsp_boxes_validation`.

    The other half, which `for_choosing` denies, is for figures that nothing was chosen by.

    Args:
        root: The folder that holds "people".

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    return off_center(read_boxes(root, lambda name: name in held_out() and for_choosing(name)))


def for_choosing(name: str) -> bool:
    """Tell whether a held-out image is one to choose by: those of even numbers are."""
    return int(Path(name).stem) % 2 == 0


def read_boxes(root: Path, wanted: Callable[[str], bool]) -> list[Sample]:
    """Read the boxes of everyday people.

    Args:
        root: The folder that holds "people".
        wanted: Tells by an image's name whether to read it.

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    people = [*read_people(root, "by hand"), *_unsure(read_people(root, "MoveNet"))]
    boxes = {one.number: one.box for one in read_annotations(people_annotations(root)).people}
    images: dict[Path, list[Sample]] = defaultdict(list)
    for one in people:
        if wanted(one.path.name):
            left, top, width, height = boxes[one.person_id]
            images[one.path].append(_as_box(one, (left, top, left + width, top + height)))
    return [one for everybody in images.values() for one in _in_company(everybody)]


def _unsure(samples: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, incomplete=True) for sample in samples]


def _in_company(everybody: Sequence[Sample]) -> list[Sample]:
    """Tell each person of an image of the others."""
    points = np.stack([one.keypoints for one in everybody])
    return [replace(one, company=np.delete(points, n, axis=0)) for n, one in enumerate(everybody)]


def backgrounds_train(root: Path) -> list[Sample]:
    """Read four of five pictures without people, each in five windows.

    Args:
        root: The folder that holds "background", and in it numbered pictures.

    Raises:
        DataError: There are none.
    """
    return [
        window for path in background_paths(root) if trained_on(path) for window in _windows(path)
    ]


def background_paths(root: Path) -> list[Path]:
    """Return the pictures without people, sorted by name; see `backgrounds_train`."""
    paths = sorted((root / "background").glob("*.jpg"))
    if not paths:
        raise DataError(f"{root / 'background'} holds no pictures; give the folder that holds it")
    return paths


def trained_on(path: Path) -> bool:
    """Tell whether a background is for training: those whose number divides by five are not."""
    return int(path.stem) % KEPT_FOR_JUDGING != 0


def _windows(path: Path) -> list[Sample]:
    """Show a background whole, and each of its corners."""
    height, width = size_of(path)
    whole, part = (max(height, width) * share for share in BACKGROUND_PARTS)
    corners = [
        (x, y, part) for y in (part / 2, height - part / 2) for x in (part / 2, width - part / 2)
    ]
    number = SKELETONS["box"].num_keypoints
    nowhere, nothing = np.zeros((number, 2)), np.zeros(number, bool)
    return [
        Sample(
            path=path,
            keypoints=nowhere,
            visible=nothing,
            hidden=nothing,
            center=(x, y),
            scale=side / MPII_PERSON_PIXELS,
            background=True,
        )
        for x, y, side in ((width / 2, height / 2, whole), *corners)
    ]


def off_center(samples: Sequence[Sample]) -> list[Sample]:
    """Shift and zoom the windows that show people at random, the same way each time."""
    random = np.random.default_rng(0)
    windows = []
    for sample in samples:
        shift = random.uniform(-SHIFT, SHIFT, 2) * sample.scale * MPII_PERSON_PIXELS
        zoom = 2.0 ** random.uniform(-ZOOM, ZOOM)
        x, y = np.array(sample.center) + shift
        windows.append(replace(sample, center=(float(x), float(y)), scale=sample.scale * zoom))
    return windows
