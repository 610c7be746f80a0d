"""hgzoo train, hgzoo evaluate."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_machine, add_quiet, add_reading, command
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.data import ReadSamples, Sample
    from hgzoo.engine import Report
    from hgzoo.run import Options

TRAIN = """\
hgzoo train hg2_tiny --data datasets --precision bfloat16 --workers 2
hgzoo train hg2_tiny --data datasets --resume
hgzoo train my/own.toml --data datasets --init hg2_tiny --set epochs=20 --set lr=5e-4"""

EVALUATE = """\
hgzoo evaluate hg2_tiny --data datasets
hgzoo evaluate runs/mine --data datasets --json mine.json"""


def add_commands(commands: Any) -> None:
    """Add `train` and `evaluate`."""
    parser = command(commands, "train", _train, "train a recipe", examples=TRAIN)
    add = parser.add_argument
    add("recipe", help="a variant, or the path of a recipe")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add("--out", metavar="DIR", help="the run folder (runs/RECIPE)")
    add("--resume", action="store_true", help="go on where the run folder stands")
    add("--init", metavar="NAME", help="go on from these weights: a name of the zoo, or a file")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the [train] table, such as epochs=20 or augment.flip_prob=0",
    )
    add_machine(parser)
    add_quiet(parser)
    text = "judge weights on annotated people"
    parser = command(commands, "evaluate", _evaluate, text, examples=EVALUATE)
    add = parser.add_argument
    add("model", help="a name of the zoo, a weights file or a run folder")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add("--dataset", default="lsp", help="which set (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there")
    add("--threshold", type=float, default=0.2, help="fraction of the torso (%(default)s)")
    add_reading(parser)
    add_machine(parser)
    add_quiet(parser)


def _train(options: argparse.Namespace) -> int:
    import torch

    from hgzoo import engine, factory, recipes
    from hgzoo.data import TRAINING_SETS, VALIDATION_SETS
    from hgzoo.model import StackedHourglass

    changes = [*options.set, *([f"init={options.init}"] if options.init else [])]
    recipe = recipes.changed(factory.model_info(options.recipe), changes)
    config = recipe.train
    if not config.datasets:
        raise ConfigError(f"{recipe.name} names no datasets in its [train] table")
    train = [
        (_samples(TRAINING_SETS, name, options.data), times)
        for name, times in config.datasets.items()
    ]
    validation = _samples(VALIDATION_SETS, config.validation, options.data)
    torch.manual_seed(config.seed)
    model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    if config.init:
        begin = factory.find_weights(config.init)
        model.take(begin, where=config.init)
    out = Path(options.out or f"runs/{recipe.name}")
    report = engine.fit(
        recipe,
        model,
        train=train,
        validation=validation,
        out=out,
        resume=options.resume,
        options=_machine(options),
    )
    if report is None:
        return 130
    print(f"the best weights are {out / 'release.safetensors'}", file=sys.stderr)
    _print(report)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from hgzoo import engine
    from hgzoo.config import EvalConfig
    from hgzoo.data import VALIDATION_SETS
    from hgzoo.inference import move
    from hgzoo.predict import load_model

    samples = _samples(VALIDATION_SETS, options.dataset, options.data)
    config = EvalConfig(threshold=options.threshold, flip=not options.no_flip)
    model = move(load_model(options.model), options.device)
    report = engine.evaluate(
        model, samples, config, decoder=options.decoder, options=_machine(options)
    )
    _print(report)
    if options.json:
        table = {
            "model": str(options.model),
            "dataset": options.dataset,
            "metric": f"{config.metric}@{config.threshold}",
            "flip": config.flip,
            "people": len(samples),
            "groups": report.groups,
            "keypoints": report.keypoints,
        }
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def _samples(sets: Mapping[str, ReadSamples], name: str, data: str) -> list[Sample]:
    if name not in sets:
        raise UnknownNameError("dataset", name, sets)
    return sets[name](Path(data))


def _machine(options: argparse.Namespace) -> Options:
    from hgzoo.run import Options

    return Options(precision=options.precision, workers=options.workers, progress=not options.quiet)


def _print(report: Report) -> None:
    """Print percent of correct keypoints: each joint, then the usual rows and their mean."""
    for name, value in report.keypoints.items():
        print(f"{name:<16} {value:6.2f}")
    print()
    for name, value in report.groups.items():
        print(f"{name:<16} {value:6.2f}")
