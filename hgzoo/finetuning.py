"""From pretrained weights to your own keypoints: new heads, your names, a short training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hgzoo import checkpoints, engine, factory, processes
from hgzoo.config import AugmentConfig, EvalConfig, Options, Recipe, TrainConfig
from hgzoo.data import Sample, usable
from hgzoo.engine import HeldOut, Report
from hgzoo.errors import ConfigError
from hgzoo.losses import LOSSES
from hgzoo.model import StackedHourglass
from hgzoo.skeletons import Skeleton

FINETUNE = TrainConfig(
    epochs=20,
    batch_size=16,
    lr=5e-4,
    weight_decay=0.01,
    warmup_epochs=1.0,
    sigma=1.2,
    ema_decay=0.99,
    clip_grad=5.0,
    augment=AugmentConfig(
        scale_std=0.2, rotation_std=20.0, shift_std=0.03, color=(0.8, 1.2), gray_prob=0.1
    ),
)
"""What a fine-tuning does where nothing else is said."""


def split(samples: Sequence[Sample], *, share: float = 0.1) -> tuple[list[Sample], list[Sample]]:
    """Hold some pictures back to judge by; all of a picture's people go to one side.

    Args:
        samples: Everybody, of at least two pictures.
        share: Of the pictures to hold back, 0..1; at least one, and not all.

    Returns:
        Those to train on, and those to judge by; the same ones each time.

    Raises:
        ConfigError: There is only one picture.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.finetuning import split
        >>> samples, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> train, held_out = split(samples)
        >>> len(train), len(held_out)  # two people a picture
        (4, 2)
    """
    pictures = sorted({sample.path for sample in samples})
    if len(pictures) < 2:
        raise ConfigError("one picture cannot both train and judge; annotate another one")
    number = min(max(1, round(share * len(pictures))), len(pictures) - 1)
    chosen = np.random.default_rng(0).permutation(len(pictures))[:number]
    held = {pictures[int(index)] for index in chosen}
    return [s for s in samples if s.path not in held], [s for s in samples if s.path in held]


def prepare(
    name: str | Path,
    skeleton: Skeleton,
    *,
    train: TrainConfig = FINETUNE,
    frozen_stacks: int | None = None,
    cache_dir: str | Path | None = None,
) -> tuple[Recipe, StackedHourglass]:
    """Give pretrained weights new heads for other keypoints.

    Args:
        name: As for `create_model`.
        skeleton: The new keypoints.
        train: How to train; the loss becomes that which the weights' heatmaps need.
        frozen_stacks: None trains everything; 0 freezes the stem, n also the first n stacks. New
            layers are always trained.
        cache_dir: Folder for what is downloaded.

    Returns:
        The recipe and the network that `hgzoo.engine.fit` takes.

    Raises:
        WeightsError: There are no such weights.
        ConfigError: So many stacks cannot be frozen.

    Examples:
        >>> from hgzoo import Skeleton
        >>> from hgzoo.finetuning import prepare
        >>> hand = Skeleton(name="hand", keypoints=("wrist", "thumb", "finger"))
        >>> recipe, model = prepare("hg1_nano", hand, frozen_stacks=0)
        >>> recipe.train.loss, model.config.num_keypoints
        ('spatial_cross_entropy', 3)
        >>> any(parameter.requires_grad for parameter in model.stem.parameters())
        False
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)  # of the new heads
        model = factory.create_model(
            name, pretrained=True, num_keypoints=skeleton.num_keypoints, cache_dir=cache_dir
        )
    model.output = replace(model.output, skeleton=skeleton)
    if frozen_stacks is not None:
        model.freeze(frozen_stacks)
    kind = model.output.heatmaps
    loss = next(loss for loss, entry in LOSSES.items() if entry.trains == kind)
    recipe = Recipe(
        name=f"finetuned-{Path(name).name}",
        summary=f"{name}, fine-tuned for {skeleton.num_keypoints} keypoints.",
        model=model.config,
        input=model.input,
        output=model.output,
        train=replace(train, loss=loss, init=str(name)),
        eval=EvalConfig(metric="pck", threshold=0.1),
    )
    return recipe, model


def finetune(
    name: str | Path,
    samples: Sequence[Sample],
    skeleton: Skeleton,
    *,
    out: str | Path,
    validation: Sequence[Sample] = (),
    train: TrainConfig = FINETUNE,
    frozen_stacks: int | None = None,
    resume: bool = False,
    options: Options | None = None,
) -> Report | None:
    """Fine-tune pretrained weights on keypoints of one's own.

    Args:
        name: As for `create_model`.
        samples: The people or things, as `hgzoo.data.read_coco` gives them.
        skeleton: Names, pairs and limbs of their keypoints.
        out: The run folder; in the end it is also a folder that `Predictor` and `create_model`
            take.
        validation: To judge by; a tenth of the pictures where none are given.
        train: How to train.
        frozen_stacks: As for `prepare`.
        resume: Go on where the run folder stands.
        options: Precision, workers, progress bar.

    Returns:
        The report of the best weights; None where Ctrl-C stopped the run.

    Raises:
        ConfigError: There is nobody to train on or to judge by.
        WeightsError: There are no such weights.

    Examples:
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.finetuning import FINETUNE, finetune
        >>> from hgzoo.config import Options
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> short = replace(FINETUNE, epochs=1, batch_size=2)
        >>> quiet = Options(progress=False)
        >>> report = finetune("hg1_nano", samples, skeleton, out="mine", train=short, options=quiet)
        >>> hgzoo.Predictor("mine").skeleton.name
        'coco'
    """
    people = usable(samples)[0]
    judges = usable(validation)[0]
    if not judges:
        people, judges = split(people)
    recipe, model = prepare(name, skeleton, train=train, frozen_stacks=frozen_stacks)
    reports = engine.fit(
        recipe,
        model,
        train=[(people, 1)],
        validation={"held_out": HeldOut(samples=judges, skeleton=skeleton)},
        out=out,
        resume=resume,
        options=options,
    )
    if reports is None:
        return None
    if processes.is_first():
        best = Path(out) / "best.safetensors"
        StackedHourglass.from_checkpoint(checkpoints.read(best), where=str(best)).save_pretrained(
            out
        )
    return reports["held_out"]
