"""hgzoo predict: skeletons drawn on pictures and videos, keypoints as JSON Lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_quiet, add_reading, at_least, command, number, together
from hgzoo.errors import ConfigError, InputError

if TYPE_CHECKING:
    from hgzoo.cli.predicting import Item
    from hgzoo.geometry import Box

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})
"""What counts as a picture in a folder."""

EXAMPLES = """\
hgzoo predict --demo
hgzoo predict photo.jpg --boxes 40,10,220,400 --json photo.jsonl
hgzoo predict holiday/ 'more/*.png' --out drawn --heatmaps
hgzoo predict clip.mp4 --out out.mp4 --smooth --json clip.jsonl
hgzoo predict --camera 0 --out me.mp4
hgzoo predict million/ --no-draw --json million.jsonl --resume"""


def add_commands(commands: Any) -> None:
    """Add `predict`."""
    text = "draw skeletons on pictures and videos, and write the keypoints"
    parser = command(commands, "predict", together(_predict), text, examples=EXAMPLES)
    add = parser.add_argument
    add("pictures", nargs="*", metavar="PICTURE", help="pictures, videos, folders or wildcards")
    add("--demo", action="store_true", help="use the picture that comes with hgzoo")
    add("--camera", type=at_least(0), metavar="N", help="use camera N, from 0; Ctrl-C ends it")
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
        help="edges of one person, in pixels; repeat it for more people (what --detector finds)",
    )
    add(
        "--detector",
        metavar="NAME",
        help="finds people where no boxes are given: finder, search, whole or torchvision (finder "
        "for people's keypoints, else search; whole for --demo, which is cut to one person)",
    )
    add(
        "--out",
        default="predictions",
        help="folder for the drawings, or the .mp4 of one video (%(default)s)",
    )
    add(
        "--skeleton",
        metavar="NAME",
        help="draw and write the keypoints of coco, flic, lsp, mpii or people, in its order; what "
        "cannot be had is missing (the network's own)",
    )
    add("--no-draw", action="store_true", help="draw nothing; --json says where the keypoints go")
    add("--json", metavar="FILE", help="write the keypoints there, a line a picture or frame")
    add("--heatmaps", action="store_true", help="also draw the heatmaps of every stack")
    add(
        "--threshold",
        type=number,
        help="smallest score to draw (0.5; 0.2 for weights whose scores are not calibrated)",
    )
    add("--smooth", action="store_true", help="calm the keypoints of videos (One Euro filter)")
    add("--frames", type=at_least(1), metavar="N", help="stop after so many frames of each video")
    add("--resume", action="store_true", help="go on where a run with the same options stopped")
    add_reading(parser)
    add_quiet(parser)


def _predict(options: argparse.Namespace) -> int:
    items = _items(options)
    boxes = [_box(text) for text in options.boxes] or None
    _check(options, items)

    from hgzoo import processes, skeletons
    from hgzoo.cli import predicting
    from hgzoo.predict import Predictor
    from hgzoo.visualize import least_score

    skeleton = None if options.skeleton is None else skeletons.get(options.skeleton)
    if processes.count() > 1 and options.camera is not None:
        raise ConfigError("one process is enough for a camera; start it without a launcher")
    detector = options.detector or ("whole" if options.demo else "auto")
    predictor = Predictor(
        options.model,
        flip=False if options.no_flip else None,
        decoder=options.decoder,
        device=options.device,
        detector=detector,
    )
    if boxes is None:
        _ = predictor.detector  # what is wrong with it is told before records are touched
    if skeleton is not None:
        skeletons.origins(skeleton, predictor.skeleton.keypoints)  # refuses what shares nothing
    threshold = options.threshold
    if threshold is None:
        threshold = least_score(calibrated=predictor.calibrated)
    job = predicting.Job(
        predictor=predictor,
        model=str(options.model),
        boxes=boxes,
        settings={
            "flip": not options.no_flip,
            "decoder": options.decoder,
            "detector": detector,
            "boxes": None if boxes is None else [list(box) for box in boxes],
            "threshold": threshold,
            "smooth": options.smooth,
            "skeleton": options.skeleton,
        },
        skeleton=skeleton,
        threshold=threshold,
        smooth=options.smooth,
        heatmaps=options.heatmaps,
        frames=options.frames,
        show=not options.quiet and (len(items) > 1 or items[0].video),
    )
    lines = Path(options.json) if options.json else _journal(options)
    try:
        failed = predicting.run(job, items, lines, resume=options.resume)
    except KeyboardInterrupt:
        print("hgzoo: what is done is kept; --resume goes on from there", file=sys.stderr)
        raise
    if failed is None:
        return 0
    if not options.json:
        lines.unlink(missing_ok=True)
    if len(items) == 1 and not failed and items[0].drawn:
        print(items[0].drawn)
    kind = "pictures and videos" if any(item.video for item in items) else "pictures"
    where = options.json if options.no_draw else options.out
    print(f"{len(items) - failed} of {len(items)} {kind} done; see {where}", file=sys.stderr)
    return 1 if failed else 0


def _check(options: argparse.Namespace, items: Sequence[Item]) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: They do not.
    """
    videos = any(item.video for item in items)
    if options.boxes and len(items) > 1:
        raise ConfigError(
            "--boxes goes with one picture or one video, because boxes differ between pictures"
        )
    if options.smooth and not videos:
        raise ConfigError("--smooth is for videos; there is none")
    if options.heatmaps and (videos or options.no_draw):
        raise ConfigError("--heatmaps draws pictures; it goes with neither videos nor --no-draw")
    if options.no_draw and not options.json:
        raise ConfigError("--no-draw leaves nothing to do; add --json FILE")
    if options.frames is not None and not videos:
        raise ConfigError("--frames needs a video or a camera; there is none")
    if options.resume and options.camera is not None:
        raise ConfigError("--resume cannot bring back what a camera saw; leave it out")


def _items(options: argparse.Namespace) -> list[Item]:
    """List what there is to do, each with where its drawing goes.

    Raises:
        ConfigError: Nothing is named, or --out names one video for several things.
        InputError: A folder or a wildcard has nothing.
    """
    from hgzoo.cli.predicting import Item
    from hgzoo.pictures import DEMO
    from hgzoo.videos import SUFFIXES as VIDEOS

    if options.camera is not None:
        if options.pictures or options.demo:
            raise ConfigError("--camera takes no pictures beside it")
        paths = [f"camera:{options.camera}"]
    else:
        paths = [str(DEMO)] if options.demo else list(pictures_in(options.pictures))
    out = Path(options.out)
    live = options.camera is not None
    named = [(path, live or Path(path).suffix.lower() in VIDEOS) for path in paths]
    single = _names_video(options)
    if single and [video for _, video in named] != [True]:
        raise ConfigError(f"--out {out} takes one video; name a folder instead")
    if single and out.resolve() == Path(paths[0]).resolve():
        raise ConfigError(f"--out {out} would overwrite the video itself")
    items = []
    for (path, video), name in zip(named, _different_names(paths), strict=True):
        drawn = out if single else out / f"{name}.pose{'.mp4' if video else '.png'}"
        items.append(Item(path, None if options.no_draw else drawn, video))
    return items


def _names_video(options: argparse.Namespace) -> bool:
    """Tell whether --out is a video file rather than a folder."""
    from hgzoo.videos import SUFFIXES as VIDEOS

    out = Path(options.out)
    if out.suffix.lower() not in VIDEOS or out.is_dir():
        return False
    if out.suffix.lower() != ".mp4":
        raise ConfigError(f"videos are written as .mp4, not as {out.name!r}")
    return True


def _journal(options: argparse.Namespace) -> Path:
    """Say where the records are kept, until all is done, when nobody asked for them."""
    out = Path(options.out)
    return out.with_name(f".{out.name}.jsonl") if _names_video(options) else out / ".poses.jsonl"


def pictures_in(words: Sequence[str]) -> Iterator[str]:
    """Turn files, folders and wildcards into a list of files, each of them once."""
    from hgzoo.videos import SUFFIXES as VIDEOS

    if not words:
        raise ConfigError("name a picture, a video, a folder or a wildcard, or use --demo")
    paths: dict[str, None] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            wanted = SUFFIXES | VIDEOS
            found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in wanted)
        elif path.exists() or not any(sign in word for sign in "*?["):
            found = [str(path)]
        else:
            root = Path(path.anchor)
            found = sorted(str(p) for p in root.glob(str(path.relative_to(root))))
        if not found:
            raise InputError(f"{word}: no pictures and no videos there")
        paths.update(dict.fromkeys(found))
    return iter(paths)


def _different_names(paths: Sequence[str]) -> Iterator[str]:
    """Name each picture's drawings; pictures of one name get numbers."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for path in paths:
        name = Path(path).name.replace(":", "")
        stem, suffix, base = Path(name).stem, Path(name).suffix, name
        while name in taken:
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{stem}-{numbers[base]}{suffix}"
        taken.add(name)
        yield name


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--boxes takes x0,y0,x1,y1 in pixels, got {text!r}") from error
    return x0, y0, x1, y1
