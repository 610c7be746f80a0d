"""A strip of images on which the shipped weights err.

python -m docs.make.failures     draws docs/images/failures.png
"""

from __future__ import annotations

import numpy as np

import hgzoo
from docs.make.pages import ROOT
from hgzoo import visualize
from hgzoo.pictures import load, save

FOLDER = ROOT / "docs" / "images" / "failures"
NAMES = ("profile", "hidden", "overlap", "bystander")


def draw() -> None:
    """Predict without boxes, draw from a score of 0.2 on, and put the images side by side."""
    predictor = hgzoo.Predictor("hg2_tiny")
    panels = []
    for name in NAMES:
        image = load(FOLDER / f"{name}.jpg")
        panels.append(visualize.draw_skeleton(image, predictor.many([image])[0], threshold=0.2))
    save(ROOT / "docs" / "images" / "failures.png", np.hstack(panels))


if __name__ == "__main__":
    draw()
