"""hgzoo predict: skeletons drawn on pictures, keypoints as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_quiet, add_reading, command
from hgzoo.errors import ConfigError, InputError
from hgzoo.files import atomic, write_text

if TYPE_CHECKING:
    from hgzoo.geometry import Box
    from hgzoo.pictures import RGB
    from hgzoo.predict import Predictor
    from hgzoo.skeletons import Pose

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})
"""What counts as a picture in a folder."""

CHUNK = 8
"""Pictures that are held in memory, and pass the network, at a time."""

EXAMPLES = """\
hgzoo predict --demo
hgzoo predict photo.jpg --boxes 40,10,220,400 --json photo.json
hgzoo predict holiday/ 'more/*.png' --out drawn --heatmaps"""


def add_commands(commands: Any) -> None:
    """Add `predict`."""
    text = "draw skeletons on pictures, and write the keypoints"
    parser = command(commands, "predict", _predict, text, examples=EXAMPLES)
    add = parser.add_argument
    add("pictures", nargs="*", metavar="PICTURE", help="files, folders or wildcards")
    add("--demo", action="store_true", help="use the picture that comes with hgzoo")
    add(
        "--model",
        default="hg2_tiny",
        help="a name of the zoo, a weights file or a run folder (%(default)s)",
    )
    add(
        "--boxes",
        action="append",
        default=[],
        metavar="x0,y0,x1,y1",
        help="edges of one person, in pixels; repeat it for more people (the whole picture)",
    )
    add("--out", default="predictions", help="folder for the drawings (%(default)s)")
    add("--json", metavar="FILE", help="write the keypoints there")
    add("--heatmaps", action="store_true", help="also draw the heatmaps of every stack")
    add("--threshold", type=float, default=0.2, help="smallest score to draw (%(default)s)")
    add_reading(parser)
    add_quiet(parser)


def _predict(options: argparse.Namespace) -> int:
    from hgzoo.pictures import DEMO
    from hgzoo.predict import Predictor
    from hgzoo.progress import bar

    paths = [DEMO] if options.demo else _expand(options.pictures)
    boxes = [_box(text) for text in options.boxes] or None
    if boxes and len(paths) > 1:
        raise ConfigError("--boxes goes with one picture, because boxes differ between pictures")
    predictor = Predictor(
        options.model, flip=not options.no_flip, decoder=options.decoder, device=options.device
    )
    named = list(zip(paths, _different_names(paths), strict=True))
    records: list[dict[str, Any]] = []  # Any: JSON
    try:
        show = len(paths) > 1 and not options.quiet
        with bar((), "predicting", show=show, total=len(paths), unit=" pictures") as shown:
            for start in range(0, len(named), CHUNK):
                chunk = named[start : start + CHUNK]
                records += _predict_chunk(chunk, boxes, predictor, options)
                shown.update(len(chunk))
    finally:
        if options.json:
            table = {"model": str(options.model), "pictures": records}
            write_text(Path(options.json), json.dumps(table, indent=2))
    for record in records if len(records) == 1 else []:
        print(record["drawn"])
    print(f"{len(records)} of {len(paths)} pictures done; see {options.out}", file=sys.stderr)
    return 0 if len(records) == len(paths) else 1


def _predict_chunk(
    chunk: Sequence[tuple[Path, str]],
    boxes: list[Box] | None,
    predictor: Predictor,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Predict and draw some pictures; report those that are broken, and go on."""
    from hgzoo import pictures

    loaded: list[tuple[Path, str, RGB]] = []
    for path, name in chunk:
        try:
            loaded.append((path, name, pictures.load(path)))
        except InputError as error:
            print(f"hgzoo: {error}", file=sys.stderr)
    people = predictor.many(
        [pixels for _, _, pixels in loaded],
        boxes=None if boxes is None else [boxes for _ in loaded],
        heatmaps=options.heatmaps,
    )
    return [
        _draw(path, name, pixels, poses, predictor, options)
        for (path, name, pixels), poses in zip(loaded, people, strict=True)
    ]


def _draw(
    path: Path,
    name: str,
    pixels: RGB,
    poses: Sequence[Pose],
    predictor: Predictor,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Write a picture's drawings, and return its record."""
    from hgzoo import visualize

    target = Path(options.out) / f"{name}.pose.png"
    _write(target, visualize.draw_skeleton(pixels, poses, threshold=options.threshold))
    for number, pose in enumerate(poses if options.heatmaps else []):
        panel = visualize.draw_stacks(predictor.view(pixels, pose.box), pose)
        _write(target.with_name(f"{name}.stacks{number}.png"), panel)
    height, width = pixels.shape[:2]
    return {
        "picture": str(path),
        "width": width,
        "height": height,
        "drawn": str(target),
        "poses": [_record(pose, options.threshold) for pose in poses],
    }


def _record(pose: Pose, threshold: float) -> dict[str, Any]:
    rows = zip(pose.names, pose.keypoints.tolist(), pose.scores.tolist(), strict=True)
    keypoints = [
        {
            "name": name,
            "x": round(x, 2),
            "y": round(y, 2),
            "score": round(score, 4),
            "drawn": score >= threshold,
        }
        for name, (x, y), score in rows
    ]
    return {"box": list(pose.box), "keypoints": keypoints}


def _expand(words: Sequence[str]) -> list[Path]:
    """Turn files, folders and wildcards into a list of files."""
    if not words:
        raise ConfigError("name a picture, a folder or a wildcard, or use --demo")
    paths: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.exists() or not any(sign in word for sign in "*?["):
            found = [path]
        else:
            root = Path(path.anchor)
            found = sorted(root.glob(str(path.relative_to(root))))
        if not found:
            raise InputError(f"{word}: no pictures there")
        paths += found
    return paths


def _different_names(paths: Sequence[Path]) -> list[str]:
    """Name each picture's drawings; pictures of one name get numbers."""
    names: list[str] = []
    for path in paths:
        name, number = path.name, 2
        while name in names:
            name, number = f"{path.stem}-{number}{path.suffix}", number + 1
        names.append(name)
    return names


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--boxes takes x0,y0,x1,y1 in pixels, got {text!r}") from error
    return x0, y0, x1, y1


def _write(path: Path, picture: RGB) -> None:
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
