"""hgzoo data check: what a dataset's folder holds, and what is wrong with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import ALL_DATASETS, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgzoo.data import Sample
    from hgzoo.pictures import RGB
    from hgzoo.skeletons import Skeleton

EXAMPLES = """\
hgzoo data check lsp --data datasets --sheet lsp.png
hgzoo data check mpii --data datasets --part validation"""

SHOWN = 20
"""Lines of a list that are printed; --all prints every one."""

COLUMNS, ROWS, SIDE = 6, 4, 160


def add_commands(commands: Any) -> None:
    """Add `data`."""
    text = "count a dataset's people, list what is wrong, draw a sheet of them"
    parser = command(commands, "data", _check, text, examples=EXAMPLES)
    add = parser.add_argument
    add("what", choices=("check",), help="check: read the annotations and look for the pictures")
    add("dataset", help=f"{ALL_DATASETS}, or a JSON in COCO's format")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add("--part", choices=("train", "validation"), default="train", help="(%(default)s)")
    add("--sheet", metavar="FILE", help="draw people with their keypoints there")
    add("--all", action="store_true", help=f"list everything, not only the first {SHOWN}")


def _check(options: argparse.Namespace) -> int:
    import numpy as np

    from hgzoo.data import find, inspect, usable
    from hgzoo.pictures import save

    dataset, read = find(options.dataset, options.part, Path(options.data))
    samples = read(Path(options.data))
    people, problems = usable(samples)
    sizes, doubts = inspect(people)
    print(f"{options.dataset}, {options.part}: {len(samples)} people, {len(people)} usable, in")
    print(f"{len(sizes)} pictures; keypoints: {dataset.skeleton.name}")
    if sizes:
        ranges = np.percentile(list(sizes.values()), [0, 50, 100], axis=0).T
        for side, (least, half, most) in zip(("height", "width"), ranges, strict=True):
            print(f"{side} of a picture: {least:.0f} to {most:.0f} pixels, half up to {half:.0f}")
    if people:
        visible = np.stack([person.visible for person in people])
        hidden = np.stack([person.hidden for person in people])
        extents = 200 * np.array([person.scale for person in people])
        low, middle, high = np.percentile(extents, [5, 50, 95])
        print(f"extent of a person: {low:.0f}, {middle:.0f}, {high:.0f} pixels (5, 50, 95 percent)")
        print(f"\n{'keypoint':<18} annotated  hidden")
        for name, seen, gone in zip(
            dataset.skeleton.keypoints, visible.sum(0), hidden.sum(0), strict=True
        ):
            print(f"{name:<18} {seen:>9} {gone:>7}")
    _list("people left out", problems, every=options.all)
    _list("things worth a look", doubts, every=options.all)
    drawable = [person for person in people if person.path in sizes]
    if options.sheet and drawable:
        save(Path(options.sheet), contact_sheet(drawable, dataset.skeleton))
    return int(not people)


def _list(title: str, lines: Sequence[str], *, every: bool) -> None:
    shown = lines if every else lines[:SHOWN]
    print(f"\n{title}: {len(lines)}" + "".join(f"\n  {line}" for line in shown))
    if len(shown) < len(lines):
        print(f"  … and {len(lines) - len(shown)} more; --all lists them")


def contact_sheet(people: Sequence[Sample], skeleton: Skeleton) -> RGB:
    """Draw evenly chosen people with their keypoints, as a network would be shown them.

    Args:
        people: At least one.
        skeleton: Names and limbs.

    Returns:
        A sheet of 6 columns and up to 4 rows, RGB, [H, W, 3].
    """
    import numpy as np

    from hgzoo.config import InputSpec
    from hgzoo.data import crop_of
    from hgzoo.pictures import load
    from hgzoo.skeletons import Pose
    from hgzoo.visualize import draw_skeleton

    spec = InputSpec(size=(SIDE, SIDE))
    chosen = np.linspace(0, len(people) - 1, min(len(people), ROWS * COLUMNS)).astype(int)
    rows = -(-len(chosen) // COLUMNS)
    sheet = np.full((rows * SIDE, COLUMNS * SIDE, 3), 255, np.uint8)
    for place, index in enumerate(chosen):
        person = people[int(index)]
        crop = crop_of(person, spec)
        pose = Pose(
            keypoints=crop.to_crop(person.keypoints),
            scores=person.visible.astype(float),
            names=skeleton.keypoints,
            box=(0.0, 0.0, float(SIDE), float(SIDE)),
            skeleton=skeleton,
        )
        row, column = divmod(place, COLUMNS)
        drawn = draw_skeleton(crop.warp(load(person.path)), [pose])
        sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = drawn
    return sheet
