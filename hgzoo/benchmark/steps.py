"""How fast a training step is, as ratios of steps that take turns in one process.

Seconds change from minute to minute with whatever else a machine does; a ratio of two steps that
ran one after the other does so much less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from hgzoo.config import Recipe
from hgzoo.data import Batch, Sample, loader
from hgzoo.errors import ConfigError
from hgzoo.inference import Precision
from hgzoo.model import StackedHourglass
from hgzoo.progress import bar
from hgzoo.run import Options, Run


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One way to run the same step.

    Attributes:
        precision: Number format of the forward pass.
        channels_last: Memory order of weights and pictures: NHWC, as `hgzoo train` has it, or NCHW.
        forget: Gradient checkpointing.
    """

    precision: Precision = "float32"
    channels_last: bool = True
    forget: bool = False


BASELINE = "float32, NCHW"
"""As the public ports train: the same graph in torch's default number format and memory order."""

SETUPS: dict[str, Setup] = {
    BASELINE: Setup(channels_last=False),
    "float32": Setup(),
    "float32, checkpointing": Setup(forget=True),
    "bfloat16": Setup(precision="bfloat16"),
    "bfloat16, checkpointing": Setup(precision="bfloat16", forget=True),
}
"""What is compared."""

CHECKPOINTED = {"float32": "float32, checkpointing", "bfloat16": "bfloat16, checkpointing"}
"""The setup that differs by gradient checkpointing alone."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one setup's steps took.

    Attributes:
        setup: A key of `SETUPS`.
        batch: Pictures a step.
        seconds: Of each step; those of one place ran in one round with those of other setups.
        saved: Bytes that a step keeps for its backward pass.
    """

    setup: str
    batch: int
    seconds: tuple[float, ...]
    saved: int

    @property
    def rate(self) -> float:
        """Pictures a second, by the median step."""
        return self.batch / median(self.seconds)


def times_faster(step: Step, than: Step) -> float:
    """Return the median, over the rounds, of the other step's time divided by this one's."""
    pairs = zip(than.seconds, step.seconds, strict=True)
    return median(other / own for other, own in pairs)


def make_runs(
    recipe: Recipe, people: Sequence[Sample], *, batch: int, folder: Path
) -> dict[str, Run]:
    """Make a training run of each setup, all from the same random weights.

    Args:
        recipe: Whose step it is: network, loss and optimizer.
        people: What it could train on, `batch` or more.
        batch: Pictures a step.
        folder: Where the runs' folders would lie.

    Raises:
        ConfigError: The recipe cannot be trained, or the people are too few.
        MissingExtraError: accelerate or timm is not installed.
    """
    return {name: _run(recipe, people, setup, batch, folder) for name, setup in SETUPS.items()}


def _run(recipe: Recipe, people: Sequence[Sample], setup: Setup, batch: int, folder: Path) -> Run:
    train = replace(
        recipe.train, batch_size=batch, accumulate=1, grad_checkpointing=setup.forget, init=""
    )
    torch.manual_seed(train.seed)
    model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    run = Run(
        replace(recipe, train=train),
        model,
        [(people, 1)],
        out=folder,
        options=Options(precision=setup.precision, progress=False),
    )
    order = torch.channels_last if setup.channels_last else torch.contiguous_format
    model.to(memory_format=order)
    return run


def step_speeds(runs: Mapping[str, Run], *, repeats: int, progress: bool = True) -> list[Step]:
    """Let each run train on one batch, in turns.

    A first round, in which memory is claimed and kernels are chosen, does not count.

    Args:
        runs: What `make_runs` gave.
        repeats: Rounds that count, 1 or more.
        progress: Show a progress bar.

    Returns:
        A row for each run.

    Raises:
        ConfigError: `repeats` is below 1.
    """
    if repeats < 1:
        raise ConfigError(f"repeats must be at least 1, got {repeats}")
    shown = {name: _batch(run, SETUPS[name]) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    saved: dict[str, int] = {}
    size = next(iter(runs.values())).config.batch_size
    steps = [(turn, name) for turn in range(repeats + 1) for name in runs]
    for turn, name in bar(steps, f"batch {size}", show=progress, unit="step"):
        run, batch = runs[name], shown[name]
        if turn:
            seconds[name].append(_seconds(run, batch))
        else:
            model = run.model
            known = (*model.parameters(), *model.buffers())
            saved[name] = saved_bytes(partial(run.step, batch), known=known)
    return [
        Step(setup=name, batch=size, seconds=tuple(seconds[name]), saved=saved[name])
        for name in runs
    ]


def _batch(run: Run, setup: Setup) -> Batch:
    """Read a run's first batch, in the setup's memory order."""
    first = next(iter(run.batches))
    batch: Batch = next(iter(loader(run.loader.dataset, [first])))
    return batch if setup.channels_last else batch._replace(images=batch.images.contiguous())


def _seconds(run: Run, batch: Batch) -> float:
    begin = time.perf_counter()
    run.step(batch)
    return time.perf_counter() - begin


def saved_bytes(work: Callable[[], object], *, known: Iterable[Tensor]) -> int:
    """Count the memory that operations keep for the backward pass.

    Tensors that share their memory count once. What gradient checkpointing computes again does
    not count: it was not kept.

    Args:
        work: A forward pass, with or without its backward pass.
        known: What is in memory anyway, such as the weights.
    """
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    addresses = {tensor.untyped_storage().data_ptr() for tensor in known}
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(one.nbytes() for address, one in storages.items() if address not in addresses)
