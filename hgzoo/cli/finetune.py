"""hgzoo finetune: pretrained weights for your own keypoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_machine, add_quiet, add_run, at_least, command, together

if TYPE_CHECKING:
    from hgzoo.skeletons import Skeleton

EXAMPLES = """\
hgzoo finetune hg2_tiny --data my_coco.json --images pictures
hgzoo finetune hg2_tiny --data train.json --images pictures --val val.json --freeze 0
hgzoo finetune hg8 --data my_coco.json --images pictures --set epochs=50 --precision bfloat16"""


def add_commands(commands: Any) -> None:
    """Add `finetune`."""
    text = "fine-tune pretrained weights on your own keypoints, given in COCO's format"
    parser = command(commands, "finetune", _finetune, text, examples=EXAMPLES)
    add = parser.add_argument
    add("model", help="a name of the zoo, a checkpoint's folder or a repository on the Hub")
    add("--data", required=True, metavar="FILE", help="annotations, JSON in COCO's format")
    add("--images", required=True, metavar="DIR", help="the folder of the pictures")
    add("--val", metavar="FILE", help="annotations to judge by (a tenth of the pictures)")
    add("--category", default="", help="name of the category (the one that has keypoints)")
    add(
        "--freeze",
        type=at_least(0),
        metavar="N",
        help="keep the stem and the first N stacks as they are",
    )
    add_run(parser, out="runs/finetuned-MODEL", changes="epochs=50 or lr=1e-4")
    add_machine(parser)
    add_quiet(parser)


@together
def _finetune(options: argparse.Namespace) -> int:
    from hgzoo import finetuning, processes, recipes
    from hgzoo.cli.train import finished, machine
    from hgzoo.data import read_coco, usable

    images = Path(options.images)
    samples, skeleton = read_coco(Path(options.data), images, category=options.category)
    people, problems = usable(samples)
    if processes.is_first():
        _tell(len(samples), problems, skeleton)
    validation = (
        read_coco(Path(options.val), images, category=options.category)[0] if options.val else []
    )
    out = Path(options.out or f"runs/finetuned-{Path(options.model).name}")
    report = finetuning.finetune(
        options.model,
        people,
        skeleton,
        out=out,
        validation=validation,
        train=recipes.changed_training(finetuning.FINETUNE, options.set),
        frozen_stacks=options.freeze,
        resume=options.resume,
        options=replace(machine(options), save_every=options.save_every),
    )
    return finished(
        None if report is None else {"held out": report},
        f"use it: hgzoo predict photo.jpg --model {out}",
    )


def _tell(number: int, problems: Sequence[str], skeleton: Skeleton) -> None:
    """Say what was found in the annotations, and what the mirror will swap."""
    for problem in problems[:5]:
        print(f"left out: {problem}", file=sys.stderr)
    names = skeleton.keypoints
    pairs = [(names[a], names[b]) for a, b in skeleton.flip_pairs]
    print(
        f"{number - len(problems)} of {number} annotated things; {len(names)} keypoints: "
        f"{', '.join(names)}; mirrored pairs: {pairs}",
        file=sys.stderr,
    )
