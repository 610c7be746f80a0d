"""Where the people of a picture are, when nobody says: detectors, from a picture to boxes.

A detector is any callable that takes a picture and returns boxes. Two of those built in are ours:
`Finder` asks a network that was trained to tell where people are, and holds what it says against
the keypoint network; `Search` needs no second network, and looks for whatever has the keypoints.
"""

from __future__ import annotations

from collections.abc import Callable

from hgzoo.detectors.faster_rcnn import check_torchvision, torchvision_people
from hgzoo.detectors.finder import Candidate, Finder, finder_for
from hgzoo.detectors.merging import SAME, distinct
from hgzoo.detectors.search import Search, Sight
from hgzoo.detectors.sliding import whole, windows
from hgzoo.errors import UnknownNameError
from hgzoo.geometry import Box
from hgzoo.pictures import RGB
from hgzoo.readers import Reader

Detector = Callable[[RGB], list[Box]]
"""Takes a picture, [H, W, 3], RGB, 0..255, and returns the box of each person in it: (x0, y0, x1,
y1), edges, picture pixels, the surest first."""

DETECTORS: dict[str, Callable[[Reader], Detector]] = {
    "finder": finder_for,
    "search": lambda reader: Search(reader=reader),
    "whole": lambda reader: whole,
    "torchvision": lambda reader: torchvision_people(),
}
"""Every built-in detector by name: given what asks the keypoint network, each makes a detector."""


def check(detector: str | Detector) -> None:
    """Refuse a detector that cannot be made, as far as that is known without loading anything.

    Args:
        detector: A key of `DETECTORS`, or a callable from picture to boxes.

    Raises:
        UnknownNameError: There is no such detector.
        MissingExtraError: It needs a package that is not installed.

    Examples:
        >>> from hgzoo.detectors import check, whole
        >>> check("finder")
        >>> check(whole)
        >>> check("windows")
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown detector 'windows'; did you mean finder, ...
    """
    if not isinstance(detector, str):
        return
    if detector not in DETECTORS:
        raise UnknownNameError("detector", detector, DETECTORS)
    if detector == "torchvision":
        check_torchvision()


def make(detector: str | Detector, reader: Reader) -> Detector:
    """Return a detector by name; a callable is one already.

    Args:
        detector: A key of `DETECTORS`, or a callable from picture to boxes.
        reader: Asks the keypoint network, for those that look with it.

    Raises:
        UnknownNameError: There is no such detector.
        MissingExtraError: It needs a package that is not installed.
        WeightsError: Its weights cannot be had.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.detectors import make, whole
        >>> reader = hgzoo.Predictor("hg1_nano").reader
        >>> make("whole", reader) is whole
        True
        >>> make(whole, reader) is whole
        True
        >>> make("windows", reader)
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown detector 'windows'; did you mean finder, ...
    """
    check(detector)
    if not isinstance(detector, str):
        return detector
    return DETECTORS[detector](reader)


__all__ = [
    "DETECTORS",
    "SAME",
    "Candidate",
    "Detector",
    "Finder",
    "Search",
    "Sight",
    "check",
    "distinct",
    "finder_for",
    "make",
    "torchvision_people",
    "whole",
    "windows",
]
