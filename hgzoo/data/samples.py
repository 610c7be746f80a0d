"""One annotated person: what every dataset yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import DataError, InputError
from hgzoo.geometry import MPII_PERSON_PIXELS, inside
from hgzoo.pictures import size_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One person in one picture.

    Attributes:
        path: The picture.
        keypoints: (x, y), [K, 2], picture pixels, 0-based, float64; anything where not visible.
        visible: Annotated and usable, [K]. A hidden joint with a known place is visible here.
        center: (x, y), the person's middle, picture pixels.
        scale: The person's extent over 200 picture pixels, MPII's unit.
        hidden: Annotated, but not to be seen in the picture, [K].
        reference: Length that distances are divided by when this person is judged, picture
            pixels: the head's size (MPII), the torso (LSP, FLIC), the root of the area (COCO); 0
            where it is not known.
        others: People besides this one in the picture, as far as the annotations tell.
        company: The same keypoints of everybody else in the picture, [N, K, 2], picture pixels, for
            heatmaps that show everybody; empty where they show one person.
        incomplete: Not everybody in the picture is annotated: whether anybody is where nobody is
            annotated, is unknown.
        background: Nobody is in the picture: its heatmaps should be empty.
        weight: How much the labels count in the loss; 0 and more.
        source: Where the picture comes from, for a set that is put together from several; "" where
            nobody says.
        picture_id: The dataset's own number of the picture (COCO's image id; the place in MPII's
            and FLIC's list, from 0), -1 where it has none.
        person_id: The dataset's own number of the person (COCO's annotation id; the place among
            the picture's people in MPII and FLIC, from 0), -1 where it has none.
    """

    path: Path
    keypoints: NDArray[np.float64]
    visible: NDArray[np.bool_]
    center: tuple[float, float]
    scale: float
    hidden: NDArray[np.bool_]
    reference: float = 0.0
    others: int = 0
    company: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 2)))
    incomplete: bool = False
    background: bool = False
    weight: float = 1.0
    source: str = ""
    picture_id: int = -1
    person_id: int = -1


def sample_from_keypoints(
    path: Path,
    keypoints: NDArray[np.float64],
    visible: NDArray[np.bool_],
    *,
    hidden: NDArray[np.bool_] | None = None,
    reference: float = 0.0,
) -> Sample:
    """Derive center and scale of a person from its keypoints.

    The middle of the visible keypoints' bounding box is the center; its longer side is the
    extent.

    Args:
        path: The picture.
        keypoints: [K, 2], picture pixels, 0-based.
        visible: [K], at least two.
        hidden: [K]; None where every keypoint is to be seen.
        reference: As for `Sample`.

    Raises:
        DataError: Fewer than two visible keypoints, or all at one place.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.data import sample_from_keypoints
        >>> xy = np.array([[10.0, 20.0], [30.0, 220.0]])
        >>> sample = sample_from_keypoints(Path("photo.jpg"), xy, np.array([True, True]))
        >>> sample.center, sample.scale
        ((20.0, 120.0), 1.0)
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
        hidden=np.zeros_like(visible) if hidden is None else hidden,
        reference=reference,
    )


def usable(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """Sort out what cannot be shown to a network.

    Args:
        samples: As a dataset gives them.

    Returns:
        The people whose picture is there and who have a keypoint, and backgrounds; and what is
        wrong with the others, a line each.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data import read_coco, usable
        >>> samples, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> elsewhere, _ = read_coco(Path("my_coco.json"), Path("elsewhere"))
        >>> good, problems = usable([*samples, *elsewhere])
        >>> len(good), len(problems)
        (6, 6)
    """
    good, problems = [], []
    there = {path: path.is_file() for path in {sample.path for sample in samples}}
    for sample in samples:
        if not there[sample.path]:
            problems.append(f"{sample.path}: the picture is missing")
        elif not (sample.visible.any() or sample.background):
            problems.append(f"{sample.path}: a person without any annotated keypoint")
        elif sample.scale <= 0.0:
            problems.append(f"{sample.path}: a person without extent")
        else:
            good.append(sample)
    return good, problems


def inspect(samples: Sequence[Sample]) -> tuple[dict[Path, tuple[int, int]], list[str]]:
    """Open every picture, and hold the people in it against its size.

    What this finds is worth a look, but keeps nobody out of training: crops may reach over a
    picture's border, and keypoints there do not count.

    Args:
        samples: People whose pictures are there.

    Returns:
        (height, width) of each picture that can be read; and a line for each that cannot, for
        each person whose middle lies outside, and for each person with keypoints outside.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data import inspect, read_coco
        >>> samples, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> sizes, doubts = inspect(samples)
        >>> set(sizes.values()), doubts
        ({(120, 90)}, [])
    """
    sizes: dict[Path, tuple[int, int]] = {}
    doubts = []
    for path in dict.fromkeys(sample.path for sample in samples):
        try:
            sizes[path] = size_of(path)
        except InputError as error:
            doubts.append(str(error))
    for sample in samples:
        if sample.path in sizes:
            seen = sample.keypoints[sample.visible]
            beyond = int((~inside(seen, sizes[sample.path])).sum())
            if not inside(np.array(sample.center), sizes[sample.path]):
                doubts.append(f"{sample.path}: the middle of a person lies outside the picture")
            elif beyond:
                doubts.append(f"{sample.path}: {beyond} keypoints lie outside the picture")
    return sizes, doubts
