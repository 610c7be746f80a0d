"""How many people a detector finds in everyday images, and how many boxes hold nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hgzoo.data.boxes import background_paths, box_between, for_choosing, read_boxes, trained_on
from hgzoo.data.people import held_out
from hgzoo.detectors import Detector
from hgzoo.geometry import Box, overlap
from hgzoo.pictures import RGB, load

IOU = 0.5
"""A box finds a person whose own box it overlaps by so much."""

LARGE = 100.0
"""People whose box's longer side has so many pixels should be found."""

Crowd = tuple[RGB, Sequence[Box]]
"""An image, and the boxes of everybody annotated in it."""


@dataclass(frozen=True, kw_only=True)
class PeopleFound:
    """What a detector finds in one set of images.

    Attributes:
        images: The set.
        way: The detector's name.
        number: How many images.
        people: Annotated people of `LARGE` pixels and more, who should be found.
        found: Part of them whose box is found, percent; None without people.
        boxes: Boxes that come back for an image.
        false: Those of them that find nobody annotated, for an image. Where people are not
            annotated, boxes of theirs are among them.
        empty: Part of the images that no box comes back for, percent.
    """

    images: str
    way: str
    number: int
    people: int
    found: float | None
    boxes: float
    false: float
    empty: float


def find_people(
    detector: Detector, crowds: Iterable[Crowd], *, images: str, way: str
) -> PeopleFound:
    """Ask a detector for boxes, and hold them against the annotated people's.

    Args:
        detector: From an image to boxes.
        crowds: Images and who is in them, at least one image.
        images: What to call them.
        way: What to call the detector.
    """
    number = people = found = boxes = false = empty = 0
    for image, truth in crowds:
        given = detector(image)
        matched = matches(given, truth)
        large = [n for n, (x0, y0, x1, y1) in enumerate(truth) if max(x1 - x0, y1 - y0) >= LARGE]
        number += 1
        people += len(large)
        found += sum(n in matched for n in large)
        boxes += len(given)
        false += len(given) - len(matched)
        empty += not given
    return PeopleFound(
        images=images,
        way=way,
        number=number,
        people=people,
        found=100.0 * found / people if people else None,
        boxes=boxes / max(number, 1),
        false=false / max(number, 1),
        empty=100.0 * empty / max(number, 1),
    )


def matches(boxes: Sequence[Box], truth: Sequence[Box]) -> set[int]:
    """Return whom some boxes find: the first box of a person counts, and each finds one.

    Args:
        boxes: What a detector returns, the surest first.
        truth: Everybody's own box.

    Returns:
        Indexes of `truth`.

    Examples:
        >>> from hgzoo.benchmark.people import matches
        >>> people = [(0, 0, 10, 10), (20, 0, 30, 10)]
        >>> matches([(0, 0, 10, 8), (0, 0, 10, 10), (27, 0, 40, 10)], people)
        {0}
    """
    found: set[int] = set()
    for box in boxes:
        shares = [(overlap(box, one), n) for n, one in enumerate(truth) if n not in found]
        share, nearest = max(shares, default=(0.0, -1))
        if share >= IOU:
            found.add(nearest)
    return found


def everyday(
    root: Path, *, by_hand: bool, number: int | None = None
) -> tuple[list[Path], Iterator[Crowd]]:
    """Read held-out images of everyday people that nothing was chosen by.

    Args:
        root: The folder that holds "people".
        by_hand: Those whose people were annotated by hand, where everybody who is large is; False
            for those that MoveNet annotated, where some are missing.
        number: At most so many images; None for all.

    Returns:
        Their paths, and the images with everybody's box.
    """
    people: dict[Path, list[Box]] = {}
    for one in read_boxes(root, lambda name: name in held_out() and not for_choosing(name)):
        if one.incomplete != by_hand:
            people.setdefault(one.path, []).append(box_between(one.keypoints))
    paths = list(people)[:number]
    return paths, ((load(path), people[path]) for path in paths)


def empty_rooms(root: Path, *, number: int | None = None) -> tuple[list[Path], Iterator[Crowd]]:
    """Read the backgrounds that the finder was not trained on; see `everyday`."""
    paths = [path for path in background_paths(root) if not trained_on(path)][:number]
    return paths, ((load(path), []) for path in paths)
