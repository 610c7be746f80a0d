"""hgzoo train, hgzoo evaluate."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.score import plot_score, precision_table, score_table
from hgzoo.cli.shared import add_machine, add_quiet, add_reading, add_run, command, together
from hgzoo.errors import ConfigError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.config import ModelConfig
    from hgzoo.data import Dataset, Sample
    from hgzoo.engine import Report
    from hgzoo.oks import Precision
    from hgzoo.results import Results
    from hgzoo.run import Options

TRAIN = """\
hgzoo train hg2_tiny --data datasets --precision bfloat16 --workers 2
hgzoo train hg2_tiny --data datasets --resume
hgzoo train hg8 --recipe paper --data datasets
hgzoo train my/own.toml --data datasets --init hg2_tiny --set epochs=20 --set lr=5e-4"""

EVALUATE = """\
hgzoo evaluate hg2_tiny --data datasets
hgzoo evaluate runs/mine --data datasets --json mine.json --plot mine.png
hgzoo evaluate hg8 --data datasets --dataset mpii --export preds.h5
hgzoo evaluate runs/mine --data datasets --dataset coco --export results.json"""


def add_commands(commands: Any) -> None:
    """Add `train` and `evaluate`."""
    parser = command(commands, "train", _train, "train a recipe", examples=TRAIN)
    add = parser.add_argument
    add("model", help="a variant, or the path of a recipe")
    add(
        "--recipe",
        metavar="NAME",
        help="train it as paper, princeton or modern do on MPII, whatever its own recipe says",
    )
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add("--init", metavar="NAME", help="go on from these weights: a name of the zoo, or a file")
    add_run(parser, out="runs/RECIPE", changes="epochs=20 or augment.flip_prob=0")
    add_machine(parser)
    add_quiet(parser)
    text = "judge weights on annotated people"
    parser = command(commands, "evaluate", _evaluate, text, examples=EVALUATE)
    add = parser.add_argument
    add("model", help="a name of the zoo, a weights file or a run folder")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add("--dataset", default="lsp", help="which set (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there")
    add("--plot", metavar="FILE", help="draw the curve of each row over the threshold there")
    add(
        "--export",
        metavar="FILE",
        help="write the predictions there, for the dataset's own tool: .json (coco), .mat (mpii), "
        ".h5 or .npz (all but coco)",
    )
    add("--threshold", type=float, help="fraction of the reference length (the dataset's)")
    add_reading(parser)
    add_machine(parser)
    add_quiet(parser)


@together
def _train(options: argparse.Namespace) -> int:
    import torch

    from hgzoo import engine, factory, recipes
    from hgzoo.model import StackedHourglass

    changes = [*options.set, *([f"init={options.init}"] if options.init else [])]
    recipe = factory.model_info(options.model)
    if options.recipe:
        recipe = recipes.trained_by(recipe, options.recipe)
    recipe = recipes.changed(recipe, changes)
    config = recipe.train
    if not config.datasets:
        raise ConfigError(
            f"{recipe.name} names no datasets in its [train] table; add --recipe "
            f"{' or '.join(recipes.trainings())}"
        )
    train = [
        (_people(name, "train", recipe.model, options.data), times)
        for name, times in config.datasets.items()
    ]
    validation = _people(config.validation, "validation", recipe.model, options.data)
    torch.manual_seed(config.seed)
    model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    if config.init:
        factory.begin_from(model, config.init)
    out = Path(options.out or f"runs/{recipe.name}")
    report = engine.fit(
        recipe,
        model,
        train=train,
        validation=validation,
        out=out,
        resume=options.resume,
        options=replace(machine(options), save_every=options.save_every),
    )
    return finished(report, f"the best weights are {out / 'release.safetensors'}")


@together
def _evaluate(options: argparse.Namespace) -> int:
    from hgzoo import engine, processes
    from hgzoo.config import EvalConfig
    from hgzoo.data import DATASETS
    from hgzoo.factory import load_model
    from hgzoo.inference import move
    from hgzoo.results import collect, find_format

    model = move(load_model(options.model), options.device)
    everybody = _everybody(options.dataset, "validation", model.config, options.data)
    export = (
        find_format(Path(options.export), options.dataset, everybody) if options.export else None
    )
    people = _usable(options.dataset, everybody)
    dataset = DATASETS[options.dataset]
    threshold = dataset.threshold if options.threshold is None else options.threshold
    config = EvalConfig(metric=dataset.metric, threshold=threshold, flip=not options.no_flip)
    report = engine.evaluate(
        model, people, config, decoder=options.decoder, options=machine(options)
    )
    if not processes.is_first():
        return 0
    results = collect(options.dataset, everybody, people, report.predicted, report.scores)
    if export:
        export.write(Path(options.export), results)
    print_report(report)
    found = _precision(dataset, results, people, Path(options.data))
    if found:
        print(f"\n{precision_table(found)}")
    if options.plot:
        plot_score(report.score, Path(options.plot))
    if options.json:
        table = {
            "model": str(options.model),
            "dataset": options.dataset,
            "flip": config.flip,
            "decoder": options.decoder or model.output.decoder,
            **asdict(report.score),
            **{name: getattr(report, name) for name in ("stacks", "company", "annotated")},
            **({"oks": asdict(found)} if found else {}),
        }
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def _precision(
    dataset: Dataset, results: Results, judged: Sequence[Sample], data: Path
) -> Precision | None:
    """Compute OKS average precision over the pictures that are there, where a dataset has it."""
    from hgzoo import oks
    from hgzoo.data.coco import read_annotations
    from hgzoo.results import coco_results

    if dataset.oks_annotations is None:
        return None
    truth = read_annotations(dataset.oks_annotations(data))
    pictures = {person.picture_id for person in judged}
    found = coco_results(results)
    return oks.precision(truth, found, boxes=oks.TRUE_BOXES, pictures=pictures)


def _people(name: str, part: str, model: ModelConfig, data: str) -> list[Sample]:
    """Read the people of a dataset that a network can be shown."""
    return _usable(name, _everybody(name, part, model, data))


def _everybody(name: str, part: str, model: ModelConfig, data: str) -> list[Sample]:
    """Read all people of a dataset whose keypoints are the network's."""
    from hgzoo.data import find

    dataset, read = find(name, part)
    keypoints = dataset.skeleton.keypoints
    if model.num_keypoints != len(keypoints):
        raise ConfigError(
            f"{name} has {len(keypoints)} keypoints ({dataset.skeleton.name}), the network "
            f"{model.num_keypoints}"
        )
    return read(Path(data))


def _usable(name: str, everybody: Sequence[Sample]) -> list[Sample]:
    """Return the people that a network can be shown; tell of the others."""
    from hgzoo.data import usable

    people, problems = usable(everybody)
    if problems:
        print(
            f"{name}: {len(problems)} of {len(problems) + len(people)} people are left out; "
            f"the first: {problems[0]}. hgzoo data check {name} lists them",
            file=sys.stderr,
        )
    return people


def machine(options: argparse.Namespace) -> Options:
    """Return what belongs to the machine, as a command was told that trains or judges."""
    from hgzoo.run import Options

    return Options(
        precision=options.precision,
        workers=options.workers,
        progress=not options.quiet,
    )


def finished(report: Report | None, hint: str) -> int:
    """Print what a training run gave, once, and where to go on; return the exit code.

    Args:
        report: Of the best weights; None where Ctrl-C stopped the run.
        hint: A line for whoever started it; not among the figures.
    """
    from hgzoo import processes

    if report is None:
        return 130
    if processes.is_first():
        print_report(report)
        print(hint, file=sys.stderr)
    return 0


def print_report(report: Report) -> None:
    """Print every figure of a report."""
    print(score_table(report.score))
    for title, figures in (
        ("pooled mean after each stack", {f"stack {n}": v for n, v in enumerate(report.stacks, 1)}),
        ("pooled mean by company", report.company),
        ("told annotated from not annotated, average precision", report.annotated),
    ):
        if figures:
            print(f"\n{title}")
            for name, value in figures.items():
                print(f"  {name:<24} {value:6.2f}")
    print(f"\nplain mean of the rows      {report.mean:6.2f}")
