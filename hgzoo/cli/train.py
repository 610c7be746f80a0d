"""hgzoo train, hgzoo evaluate."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.score import plot_score, precision_table, score_table
from hgzoo.cli.shared import (
    HELD_OUT_DATASETS,
    add_machine,
    add_quiet,
    add_reading,
    add_run,
    command,
    number,
    together,
)
from hgzoo.errors import ConfigError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.config import Options
    from hgzoo.data import Dataset, Sample
    from hgzoo.engine import Report
    from hgzoo.oks import Precision
    from hgzoo.results import Results

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
    names = f"{HELD_OUT_DATASETS}, or a JSON in COCO's format below DIR (%(default)s)"
    add("--dataset", default="lsp", metavar="NAME", help=names)
    add("--json", metavar="FILE", help="write the figures there")
    add("--plot", metavar="FILE", help="draw the curve of each row over the threshold there")
    add(
        "--export",
        metavar="FILE",
        help="write the predictions there, for the dataset's own tool: .json (coco), .mat (mpii), "
        ".h5 or .npz (all but coco)",
    )
    add("--threshold", type=number, help="fraction of the reference length (the dataset's)")
    add_reading(parser)
    add_machine(parser)
    add_quiet(parser)


@together
def _train(options: argparse.Namespace) -> int:
    import torch

    from hgzoo import engine, factory, recipes
    from hgzoo.data import matched
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
    if not config.validation:
        raise ConfigError(f"{recipe.name} names no held-out set in its [train] table: validation")
    torch.manual_seed(config.seed)
    model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    target = recipe.output.skeleton_for(recipe.model.num_keypoints)
    train = []
    for name, times in config.datasets.items():
        people, dataset = usable_people(name, "train", options.data)
        weight = config.label_weights.get(name, 1.0)
        weighted = [replace(one, weight=one.weight * weight) for one in people]
        train.append((matched(weighted, dataset.skeleton, target, where=name), times))
    validation = {}
    for name, share in config.validation.items():
        people, dataset = usable_people(name, "validation", options.data)
        validation[name] = engine.HeldOut(samples=people, skeleton=dataset.skeleton, share=share)
    if config.init:
        factory.begin_from(model, config.init)
    out = Path(options.out or f"runs/{recipe.name}")
    reports = engine.fit(
        recipe,
        model,
        train=train,
        validation=validation,
        out=out,
        resume=options.resume,
        options=replace(machine(options), save_every=options.save_every),
    )
    return finished(reports, f"the best weights are {out / 'release.safetensors'}")


@together
def _evaluate(options: argparse.Namespace) -> int:
    from hgzoo import engine, processes
    from hgzoo.config import EvalConfig
    from hgzoo.data import find
    from hgzoo.factory import load_model
    from hgzoo.inference import move
    from hgzoo.results import collect, find_format

    model = move(load_model(options.model), options.device)
    dataset, read = find(options.dataset, "validation", Path(options.data))
    everybody = read(Path(options.data))
    export = (
        find_format(Path(options.export), options.dataset, everybody) if options.export else None
    )
    people = _usable(options.dataset, everybody)
    threshold = dataset.threshold if options.threshold is None else options.threshold
    config = EvalConfig(metric=dataset.metric, threshold=threshold, flip=not options.no_flip)
    report = engine.evaluate(
        model,
        people,
        config,
        skeleton=dataset.skeleton,
        decoder=options.decoder,
        options=machine(options),
    )
    if not processes.is_first():
        return 0
    results = collect(options.dataset, everybody, people, report.predicted, report.scores)
    if export:
        export.write(Path(options.export), results)
    print_reports({options.dataset: report})
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
            **{
                n: getattr(report, n)
                for n in ("stacks", "limbs", "sources", "company", "annotated")
            },
            "sides": asdict(report.sides) if report.sides else None,
            "reliability": asdict(report.reliability),
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


def usable_people(name: str, part: str, data: str) -> tuple[list[Sample], Dataset]:
    """Read the people of a dataset that a network can be shown.

    Args:
        name: As for `hgzoo.data.find`.
        part: "train" or "validation".
        data: The folder that holds the datasets' folders.
    """
    from hgzoo.data import find

    dataset, read = find(name, part, Path(data))
    return _usable(name, read(Path(data))), dataset


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
    from hgzoo.config import Options

    return Options(
        precision=options.precision,
        workers=options.workers,
        progress=not options.quiet,
    )


def finished(reports: Mapping[str, Report] | None, hint: str) -> int:
    """Print what a training run gave, once, and where to go on; return the exit code.

    Args:
        reports: Of the best weights, by held-out set; None where Ctrl-C stopped the run.
        hint: A line for whoever started it; not among the figures.
    """
    from hgzoo import processes

    if reports is None:
        return 130
    if processes.is_first():
        print_reports(reports)
        print(hint, file=sys.stderr)
    return 0


def print_reports(reports: Mapping[str, Report]) -> None:
    """Print every figure of each held-out set."""
    for place, (name, report) in enumerate(reports.items()):
        print(f"{chr(10) if place else ''}{name}: {_table(report)}")


def _table(report: Report) -> str:
    """Return every figure of a report, as lines."""
    lines = [score_table(report.score)]
    if report.sources:
        rows = next(iter(report.sources.values()))
        width = max(map(len, report.sources))
        lines.append(f"\n{'by source':<{width + 2}}" + "".join(f"{row:>10}" for row in rows))
        for name, figures in report.sources.items():
            first, *others = figures.values()
            numbers = "".join(f"{value:>10.2f}" for value in others)
            lines.append(f"  {name:<{width}}{first:>10.0f}{numbers}")
    sides = report.sides
    for title, figures in (
        ("pooled mean after each stack", {f"stack {n}": v for n, v in enumerate(report.stacks, 1)}),
        ("pooled mean by company", report.company),
        ("told annotated from not annotated, average precision", report.annotated),
        ("left and right: at the other side's joint", sides.exchanged if sides else {}),
        (
            "left and right: correct, had somebody exchanged the sides of",
            sides.orders if sides else {},
        ),
        ("left and right: pairs at one place", sides.together if sides else {}),
        ("scores", {"calibration error": report.reliability.error}),
    ):
        if figures:
            lines.append(f"\n{title}")
            lines += [f"  {name:<24} {value:6.2f}" for name, value in figures.items()]
    lines.append(f"\nplain mean of the rows      {report.mean:6.2f}")
    if math.isfinite(report.limbs):
        lines.append(f"12 limb joints, pooled      {report.limbs:6.2f}")
    return "\n".join(lines)
