"""The moving parts of one training run, and its folder on disk.

A run folder holds, from its first minute: `recipe.json` (what it does; `hgzoo train` takes it),
`versions.json` (with what), `metrics.jsonl` (one line an epoch), `last.pt` (where to go on) and
`best.safetensors` (the weights of the best epoch so far); in the end also `release.safetensors`
(the same in half precision).
"""

from __future__ import annotations

import json
import logging
import math
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hgzoo import checkpoints, processes, recipes
from hgzoo.config import Options, Recipe, TrainConfig
from hgzoo.data import Batch, Crops, EpochBatches, Sample, loader
from hgzoo.errors import ConfigError, HgzooError, UnknownNameError, WeightsError, require
from hgzoo.files import atomic, clear_leftovers, write_text
from hgzoo.geometry import crop_to_heatmap
from hgzoo.inference import autocast, prepare
from hgzoo.losses import LOSSES, stacked
from hgzoo.model import StackedHourglass
from hgzoo.optimization import make_ema, make_optimizer
from hgzoo.synchronization import synchronize_batch_norms
from hgzoo.targets import TARGETS, with_company

logger = logging.getLogger(__name__)


@dataclass
class Place:
    """Where training stands.

    Attributes:
        epoch: Being trained, from 0.
        batch: Batches of that epoch that are done.
        update: Steps of the optimizer so far.
        best: The best validation figure so far, percent.
        loss: Sum of the losses of those batches.
        right: Keypoints found in those of them that were looked at,
        annotated: and annotated in them.
    """

    epoch: int = 0
    batch: int = 0
    update: int = 0
    best: float = -1.0
    loss: float = 0.0
    right: int = 0
    annotated: int = 0


class Run:
    """A network, its training pictures, optimizer, schedule and average, and where they stand.

    Args:
        recipe: What to do.
        model: The network; changed in place.
        train: Sets of samples, and how often an epoch shows each.
        out: The run folder.
        options: Precision, workers, progress bar.

    Raises:
        ConfigError: The recipe cannot be trained.
        MissingExtraError: accelerate or timm is not installed.

    Examples:
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.finetuning import prepare
        >>> from hgzoo.config import Options
        >>> from hgzoo.run import Run
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> recipe, model = prepare("hg1_nano", skeleton)
        >>> recipe = hgzoo.recipes.changed(recipe, ["batch_size=2"])
        >>> run = Run(recipe, model, [(samples, 1)], out=Path("run"), options=Options())
        >>> loss, heatmaps = run.step(next(iter(run.loader)))
        >>> heatmaps.shape, run.place.batch, run.place.update
        (torch.Size([2, 17, 32, 32]), 1, 1)
    """

    def __init__(
        self,
        recipe: Recipe,
        model: StackedHourglass,
        train: Sequence[tuple[Sequence[Sample], float]],
        *,
        out: Path,
        options: Options,
    ) -> None:
        config = recipe.train
        check(recipe)
        self.recipe, self.config, self.out, self.options = recipe, config, out, options
        self.model = model
        self.place = Place()
        self.records: list[dict[str, float]] = []  # a line of figures an epoch
        accelerate = require("accelerate", extra="train")
        processes.join()
        curves = accelerate.utils.is_tensorboard_available()
        self.accelerator = accelerate.Accelerator(
            log_with="tensorboard" if curves else None, project_dir=out
        )
        self.batches, self.crops = _shown(model, train, config)
        self.loader = loader(self.crops, self.batches, workers=options.workers)
        model.set_grad_checkpointing(config.grad_checkpointing)
        model.train().to(memory_format=torch.channels_last)
        if processes.count() > 1:
            synchronize_batch_norms(model, self.accelerator.device)
        updates = len(self.batches) // config.accumulate
        optimizer, self.scheduler = make_optimizer(model, config, updates=updates)
        self.wrapped, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.ema = make_ema(model, config)

    def stops(self, requested: bool) -> bool:
        """Tell whether any process was asked to stop; every one learns it at the same step."""
        if requested:
            self.accelerator.set_trigger()
        return bool(self.accelerator.check_trigger())

    @property
    def averaged(self) -> StackedHourglass:
        """The network that is judged: the running average, where there is one."""
        averaged: StackedHourglass = self.ema.module if self.ema else self.model
        return averaged

    def step(self, batch: Batch) -> tuple[float, Tensor]:
        """Train on one batch, or on this process's part of it.

        The weights move where the gradients of `accumulate` batches are complete.

        Args:
            batch: Crops and keypoints, on the accelerator's device.

        Returns:
            The loss of the whole batch, and the last stack's heatmaps, [B, K, H, W].

        Raises:
            HgzooError: The loss is not a finite number.
        """
        config, spec = self.config, self.model.input
        with autocast(batch.images.device, self.options.precision):
            heatmaps = self.wrapped(prepare(batch.images, spec))
        target, visible = with_company(
            TARGETS[config.target],
            crop_to_heatmap(batch.keypoints, spec.heatmap_stride),
            batch.visible,
            crop_to_heatmap(batch.company, spec.heatmap_stride),
            spec.heatmap_size,
            config.sigma,
        )
        own, number = stacked(
            heatmaps,
            target,
            visible,
            loss=LOSSES[config.loss],
            weight=batch.weight,
            unlabeled=config.unlabeled,
            known=batch.known,
            hard_keypoints=config.hard_keypoints,
        )
        total, number = processes.summed(torch.stack([own.detach(), number]))
        number = number.clamp_min(1)
        loss = float(total / number)
        if not math.isfinite(loss):
            raise HgzooError(
                f"the loss is {loss} in epoch {self.place.epoch + 1}; lower lr, or set "
                "clip_grad; the run folder keeps the last good checkpoint"
            )
        # Several processes take the mean of their gradients; theirs should be the sum.
        self.accelerator.backward(own * processes.count() / number / config.accumulate)
        self.place.batch += 1
        self.place.loss += loss
        if self.complete:
            self._move()
        return loss, heatmaps[-1].detach()

    @property
    def complete(self) -> bool:
        """Whether no gradients wait for more batches: only then can a checkpoint be written."""
        return self.place.batch % self.config.accumulate == 0

    def _move(self) -> None:
        if self.config.clip_grad:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.place.update += 1
        self.scheduler.step_update(self.place.update)
        if self.ema:
            self.ema.update(self.model, self.place.update)

    def finish_epoch(self, figures: dict[str, float], mean: float) -> None:
        """Keep the epoch's figures, its weights if they are the best, and the place.

        Args:
            figures: What to log.
            mean: The validation figure that epochs are compared by, percent.
        """
        self.optimizer.zero_grad()  # gradients of an incomplete last group
        done, best = self.place.epoch + 1, max(mean, self.place.best)
        better = mean > self.place.best
        self.place = Place(epoch=done, update=self.place.update, best=best)
        self.scheduler.step(done, mean)
        if better and processes.is_first():
            checkpoints.write(self.averaged.checkpoint(), self.out / "best.safetensors")
        self.records.append({"epoch": done, **{k: round(v, 6) for k, v in figures.items()}})
        self.accelerator.log(figures, step=done)
        self.save()
        self._write_records()
        if processes.is_first():
            logger.info("epoch %d: %.2f (best %.2f)", done, mean, best)

    def begin(self) -> None:
        """Start a new run folder.

        Raises:
            ConfigError: The folder holds a run already.
        """
        if (self.out / "last.pt").exists():
            raise ConfigError(f"{self.out} holds a run; add --resume, or choose another --out")
        processes.wait()  # nobody writes before everybody has looked
        if processes.is_first():
            self._clear_leftovers()
            _write_json(self.out / "recipe.json", recipes.to_table(self.recipe))
            self._describe()
        self._write_records()
        self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; of several processes, one does."""
        if processes.is_first():
            with atomic(self.out / "last.pt") as temporary:
                torch.save(self._state(), temporary)
        processes.wait()

    def _state(self) -> dict[str, Any]:
        return {
            "place": asdict(self.place),
            "records": self.records,
            "recipe": self._recipe_text(),
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema else {},
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    def _write_records(self) -> None:
        if processes.is_first():
            lines = "".join(json.dumps(record) + "\n" for record in self.records)
            with atomic(self.out / "metrics.jsonl") as temporary:
                temporary.write_text(lines, encoding="utf-8")

    def end(self) -> None:
        """Close the curves."""
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def restore(self) -> None:
        """Go back to where the checkpoint was written.

        Raises:
            WeightsError: There is no checkpoint, or it is damaged.
            ConfigError: It belongs to another recipe.
        """
        path = self.out / "last.pt"
        if not path.is_file():
            raise WeightsError(f"there is no {path} to resume from; leave --resume out to start")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            recipe, place, records = state["recipe"], Place(**state["place"]), state["records"]
        except (RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError) as error:
            raise WeightsError(f"{path} is damaged: {error}") from error
        except pickle.UnpicklingError as error:
            raise WeightsError(
                f"{path} holds more than weights and was not opened: {error}"
            ) from error
        if recipe != self._recipe_text():
            raise ConfigError(
                f"{self.out} was started with another recipe; "
                f"resume with {self.out / 'recipe.json'}"
            )
        self.place, self.records = place, records
        self.model.load_state_dict(state["model"])
        if self.ema:
            self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        processes.wait()  # nobody changes the folder before everybody has read it
        if processes.is_first():
            self._clear_leftovers()
            self._describe()
        self._write_records()

    def _clear_leftovers(self) -> None:
        for name in ("last.pt", "best.safetensors", "metrics.jsonl"):
            clear_leftovers(self.out / name)

    def _recipe_text(self) -> str:
        return json.dumps(recipes.to_table(self.recipe), sort_keys=True)

    def _describe(self) -> None:
        packages = ("hgzoo", "torch", "timm", "accelerate", "numpy", "opencv-python", "pillow")
        versions = {name: installed_version(name) for name in packages}
        _write_json(self.out / "versions.json", {"python": sys.version.split()[0], **versions})
        self.accelerator.init_trackers("tensorboard")


def check(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be trained, before anything is read or built.

    Raises:
        UnknownNameError: A loss or target of that name does not exist.
        ConfigError: The loss trains another kind of heatmaps than [output] promises.

    Examples:
        >>> from dataclasses import replace
        >>> import hgzoo
        >>> from hgzoo.run import check
        >>> recipe = hgzoo.model_info("hg2_tiny")
        >>> check(recipe)
        >>> check(replace(recipe, train=replace(recipe.train, loss="msr")))
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown loss 'msr'; did you mean mse?
    """
    config = recipe.train
    if config.loss not in LOSSES:
        raise UnknownNameError("loss", config.loss, LOSSES)
    if config.target not in TARGETS:
        raise UnknownNameError("target", config.target, TARGETS)
    trains = LOSSES[config.loss].trains
    if trains != recipe.output.heatmaps:
        raise ConfigError(
            f'the loss {config.loss} trains heatmaps that are {trains}; set heatmaps = "{trains}" '
            "in [output]"
        )


def _shown(
    model: StackedHourglass, train: Sequence[tuple[Sequence[Sample], float]], config: TrainConfig
) -> tuple[EpochBatches, Crops]:
    """Return the order of the training pictures, and the crops of them."""
    samples = [sample for group, _ in train for sample in group]
    repeats = [times for group, times in train for _ in group]
    parts = processes.count()
    if config.batch_size < parts:
        raise ConfigError(
            f"{parts} processes cannot share batches of {config.batch_size}; raise batch_size"
        )
    batches = EpochBatches(
        repeats,
        batch_size=config.batch_size,
        seed=config.seed,
        part=processes.index(),
        parts=parts,
    )
    if len(batches) < config.accumulate:
        raise ConfigError(
            f"{batches.shown} training images are too few for {config.accumulate} "
            f"batches of {config.batch_size}; lower batch_size"
        )
    skeleton = model.output.skeleton_for(model.config.num_keypoints)
    crops = Crops(
        samples,
        spec=model.input,
        skeleton=skeleton,
        augment=config.augment,
        seed=config.seed,
    )
    return batches, crops


def installed_version(package: str) -> str:
    """Return a package's version, or "not installed".

    Examples:
        >>> from hgzoo.run import installed_version
        >>> installed_version("no-such-package")
        'not installed'
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _write_json(path: Path, table: dict[str, Any]) -> None:
    write_text(path, json.dumps(table, indent=2))
