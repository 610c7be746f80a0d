"""How fast a training step is, as ratios of steps that take turns.

Seconds change from minute to minute with whatever else a machine does; a ratio of two steps that
ran one after the other does so much less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from hgzoo.config import Options, Precision, Recipe
from hgzoo.data import Batch, Sample, loader
from hgzoo.model import StackedHourglass
from hgzoo.progress import bar
from hgzoo.run import Run


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One way to run the same step.

    Attributes:
        precision: Number format of the forward pass.
        channels_last: Memory order of weights and pictures: NHWC, as `hgzoo train` has it, or NCHW.
        forget: Gradient checkpointing.
        keep_memory: Run in a process of its own that holds on to memory: see `KEEPING`.
    """

    precision: Precision = "float32"
    channels_last: bool = True
    forget: bool = False
    keep_memory: bool = False


BASELINE = "float32, NCHW"
"""As the public ports train: the same graph in torch's default number format and memory order."""

SETUPS: dict[str, Setup] = {
    BASELINE: Setup(channels_last=False),
    "float32": Setup(),
    "float32, checkpointing": Setup(forget=True),
    "bfloat16": Setup(precision="bfloat16"),
    "bfloat16, checkpointing": Setup(precision="bfloat16", forget=True),
    "float32, memory held": Setup(keep_memory=True),
    "bfloat16, memory held": Setup(precision="bfloat16", keep_memory=True),
}
"""What is compared."""

CHECKPOINTED = {"float32": "float32, checkpointing", "bfloat16": "bfloat16, checkpointing"}
"""The setup that differs by gradient checkpointing alone."""

KEEPING = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.trim_threshold=68719476736"
}
"""Lets glibc hold on to memory that was freed; read when a process begins, ignored elsewhere.

Otherwise blocks of 32 MiB and more go back to the system after every use, and the next use begins
with a page fault for each 4 KiB of them.
"""


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


class HasSeconds(Protocol):
    """What was timed in rounds."""

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of each round; a first one that does not count is left out."""


def times_faster(one: HasSeconds, than: HasSeconds) -> float:
    """Return the median, over the rounds, of the other's time divided by this one's."""
    pairs = zip(than.seconds, one.seconds, strict=True)
    return median(other / own for other, own in pairs)


def seconds_when_done(device: torch.device) -> float:
    """Read the clock when a device has done what it was told; a GPU works on by itself."""
    getattr(torch, device.type).synchronize()
    return time.perf_counter()


class Timed:
    """A training run of one setup, and the batch that it is timed on.

    Args:
        recipe: Whose step it is: network, loss and optimizer.
        people: What it could train on, `batch` or more.
        setup: How the step runs.
        batch: Pictures a step.
        folder: Where the run's folder would lie.

    Raises:
        ConfigError: The recipe cannot be trained, or the people are too few.
        MissingExtraError: accelerate or timm is not installed.
    """

    def __init__(
        self, recipe: Recipe, people: Sequence[Sample], setup: Setup, *, batch: int, folder: Path
    ) -> None:
        train = replace(
            recipe.train, batch_size=batch, accumulate=1, grad_checkpointing=setup.forget
        )
        torch.manual_seed(train.seed)
        model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
        self.run = Run(
            replace(recipe, train=train),
            model,
            [(people, 1)],
            out=folder,
            options=Options(precision=setup.precision, progress=False),
        )
        first = next(iter(self.run.batches))
        loaded: Batch = next(iter(loader(self.run.crops, [first])))
        self.batch = loaded.to(self.run.accelerator.device)
        if not setup.channels_last:
            model.to(memory_format=torch.contiguous_format)
            self.batch = self.batch._replace(images=self.batch.images.contiguous())

    def seconds(self) -> float:
        """Train one step, and return how long it took."""
        device = self.run.accelerator.device
        begin = seconds_when_done(device)
        self.run.step(self.batch)
        return seconds_when_done(device) - begin

    def saved(self) -> int:
        """Train one step, and return the bytes that it kept for its backward pass."""
        model = self.run.model
        known = (*model.parameters(), *model.buffers())
        return saved_bytes(lambda: self.run.step(self.batch), known=known)


class Elsewhere:
    """A `Timed` in another process.

    Args:
        pool: The process.
        setup: How its step runs.
        make: Makes it there.
    """

    here: ClassVar[dict[Setup, Timed]] = {}
    """What this process keeps for the one that started it."""

    def __init__(self, pool: Executor, setup: Setup, make: Callable[[Setup], Timed]) -> None:
        self.pool, self.setup = pool, setup
        pool.submit(_keep, setup, make).result()

    def seconds(self) -> float:
        """Train one step there, and return how long it took."""
        return self.pool.submit(_seconds, self.setup).result()

    def saved(self) -> int:
        """Train one step there, and return the bytes that it kept for its backward pass."""
        return self.pool.submit(_saved, self.setup).result()


def _keep(setup: Setup, make: Callable[[Setup], Timed]) -> None:
    Elsewhere.here[setup] = make(setup)


def _seconds(setup: Setup) -> float:
    return Elsewhere.here[setup].seconds()


def _saved(setup: Setup) -> int:
    return Elsewhere.here[setup].saved()


@contextmanager
def keeping_process() -> Iterator[Executor]:
    """Start a process that holds on to its memory; this one's environment stays as it was."""
    before = {name: os.environ.get(name) for name in KEEPING}
    os.environ.update(KEEPING)
    try:
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        pool.submit(torch.set_num_threads, torch.get_num_threads()).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    with pool:
        yield pool


def step_speeds(
    timed: Mapping[str, Timed | Elsewhere], *, batch: int, repeats: int, progress: bool = True
) -> list[Step]:
    """Let every setup train on one batch, in turns.

    A first round, in which memory is claimed and kernels are chosen, does not count.

    Args:
        timed: What takes turns, by keys of `SETUPS`.
        batch: Pictures a step.
        repeats: Rounds that count, 1 or more.
        progress: Show a progress bar.

    Returns:
        A row for each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    saved: dict[str, int] = {}
    steps = [(turn, name) for turn in range(repeats + 1) for name in timed]
    for turn, name in bar(steps, f"batch {batch}", show=progress, unit="step"):
        if turn:
            seconds[name].append(timed[name].seconds())
        else:
            saved[name] = timed[name].saved()
    return [
        Step(setup=name, batch=batch, seconds=tuple(seconds[name]), saved=saved[name])
        for name in timed
    ]


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
