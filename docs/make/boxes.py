"""What boxes cost that nobody gave: the table of `hgzoo benchmark search`, and a picture.

python -m docs.make.boxes     draws docs/images/boxes.png
"""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np

import hgzoo
from docs.make.pages import ROOT, Make
from hgzoo import visualize
from hgzoo.benchmark import PeopleFound, WayFound
from hgzoo.cli.benchmark import found_table, search_table
from hgzoo.detectors import Finder
from hgzoo.geometry import Crop
from hgzoo.pictures import RGB, load, save
from tests.people import WALKING

SEARCH = "docs/results/search.json"
"""Written by `hgzoo benchmark search --json`."""


def table() -> str:
    """Return the table that the command printed."""
    return search_table([WayFound(**row) for row in _rows("boxes")])


def found() -> str:
    """Return the other table that the command printed: whom each way finds."""
    return found_table([PeopleFound(**row) for row in _rows("found")])


def _rows(part: str) -> list[dict[str, Any]]:
    return json.loads((ROOT / SEARCH).read_text(encoding="utf-8"))[part]  # type: ignore[no-any-return]


WHOLE: dict[str, Make] = {}

PARTS: dict[tuple[str, str], Make] = {
    ("docs/boxes.md", "search"): table,
    ("docs/boxes.md", "found"): found,
}


def scene() -> RGB:
    """Lay the demo picture, made small, over a larger and blurred copy of itself."""
    picture = load(WALKING)
    size = (480, 640)
    backdrop = Crop.from_box((0, 120, 360, 390), size=size).warp(picture)
    backdrop = np.asarray(cv2.GaussianBlur(backdrop, (0, 0), 16.0), np.uint8)
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    backdrop[140 : 140 + height, 390 : 390 + width] = small
    return backdrop


def draw() -> None:
    """Draw the candidates, and who was found, into docs/images/boxes.png."""
    picture = scene()
    predictor = hgzoo.Predictor("hg2_tiny")
    finder = predictor.detector
    assert isinstance(finder, Finder), "people are found by the finder"
    poses = predictor.many([picture])[0]
    drawn = visualize.draw_boxes(
        picture, [one.box for one in finder.candidates(picture)[: finder.tries]]
    )
    drawn = visualize.draw_boxes(drawn, [pose.box for pose in poses], color=(120, 220, 90))
    save(ROOT / "docs/images/boxes.png", visualize.draw_skeleton(drawn, poses))


if __name__ == "__main__":
    draw()
