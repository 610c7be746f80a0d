"""How fast networks read pictures, as ratios to the plain network, which takes turns with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo import engine
from hgzoo.backends import (
    BACKENDS,
    PRECISIONS,
    BackendName,
    FastPrecision,
    installed,
    optimize,
    require_packages,
)
from hgzoo.benchmark.counting import Product, live_bytes
from hgzoo.benchmark.subjects import Subject, demo_crops
from hgzoo.config import EvalConfig, Options
from hgzoo.data import DATASETS, Sample
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.inference import Network, prepare
from hgzoo.model import StackedHourglass
from hgzoo.normalization import to_tensor
from hgzoo.progress import bar

Name = TypeVar("Name", bound=Hashable)

TURN = 0.2
"""Seconds that a turn of a fast network takes: as many calls as fit; a slow one has one call."""


PAUSE = 0.05
"""Seconds before a turn, in which the threads of the engine before it fall asleep."""


class Way(NamedTuple):
    """How a network runs: "plain", or a backend of `hgzoo.optimize`, and in which number format."""

    backend: str
    precision: str


PLAIN = Way("plain", "float32")
"""As the public ports run: the whole network in eager torch, float32, NCHW."""


CEILINGS = {
    Way("matrix product", "float32"): torch.float32,
    Way("matrix product", "bfloat16"): torch.bfloat16,
}
"""Products of large matrices, which take turns with the networks."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What one way makes of a network.

    Attributes:
        model: The subject's name.
        way: How it runs.
        seconds: It took to prepare.
        deviation: Largest difference of its last heatmaps from the plain network's, as part of
            their highest value.
        live: Bytes of tensors alive at one time for one picture, beyond weights and picture; None
            for other engines than torch.
        pck: PCK@0.2 on LSP's held-out pictures, percent, the plain mean of the rows; None where
            it was not measured.
    """

    model: str
    way: Way
    seconds: float
    deviation: float
    live: int | None = None
    pck: float | None = None


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What the calls of one network took.

    Attributes:
        model: The subject's name.
        way: How it runs.
        batch: Pictures a call.
        operations: Multiplications and additions of a call, as the plain network needs them.
        seconds: Of a call, a number a round; those of one place ran in one round with those of
            other ways.
    """

    model: str
    way: Way
    batch: int
    operations: int
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Pictures a second, by the median call."""
        return self.batch / median(self.seconds)


def ways(
    backends: Sequence[str] = (), precisions: Sequence[str] = ()
) -> tuple[list[Way], dict[str, str]]:
    """List what `hgzoo.optimize` can do here.

    Args:
        backends: Of interest; none means all that are installed.
        precisions: Of interest; none means all.

    Returns:
        The ways, the plain one first; and the extras that bring the backends that were left out
        because they are not installed.

    Raises:
        UnknownNameError: There is no such backend or precision.
        MissingExtraError: A backend that is asked for by name is not installed.
        ConfigError: No backend can do any of this.
    """
    for kind, asked, known in (
        ("backend", backends, BACKENDS),
        ("precision", precisions, PRECISIONS),
    ):
        for name in asked:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    for name in backends:
        for precision in BACKENDS[name].packages:
            require_packages(name, precision)
    there = [n for n, one in BACKENDS.items() if all(installed(n, p) for p in one.packages)]
    missing = {n: one.extra for n, one in BACKENDS.items() if n not in there and not backends}
    found = [
        Way(name, precision)
        for precision in PRECISIONS
        for name in reversed(BACKENDS)
        if precision in BACKENDS[name].packages
        and name in (backends or there)
        and (not precisions or precision in precisions)
    ]
    if not found:
        raise ConfigError(f"{' and '.join(backends or there)} cannot do {' or '.join(precisions)}")
    return [PLAIN, *found], missing


def make(
    one: Subject,
    asked: Sequence[Way],
    *,
    calibration: Sequence[NDArray[np.uint8]] = (),
    judges: Sequence[Sample] = (),
    progress: bool = True,
) -> tuple[dict[Way, Network], list[Made]]:
    """Prepare a network in every way, and tell what each costs.

    Args:
        one: The network.
        asked: The ways, the plain one first.
        calibration: Crops for int8, [*input size, 3], RGB, 0..255.
        judges: LSP's held-out people, to measure the PCK by.
        progress: Show progress bars.

    Returns:
        The networks by way, and a row for each.
    """
    crops = to_tensor(np.stack(demo_crops(one.model.input)[:4]))
    images = prepare(crops, one.model.input).contiguous()
    with torch.inference_mode():
        wanted = one.model(images)[-1]
    networks: dict[Way, Network] = {}
    rows = []
    for way in bar(asked, f"{one.name}: preparing", show=progress, unit="network"):
        begin = time.perf_counter()
        networks[way] = network = _network(one.model, way, calibration)
        seconds = time.perf_counter() - begin
        with torch.inference_mode():
            found = network(images)[-1]
        rows.append(
            Made(
                model=one.name,
                way=way,
                seconds=seconds,
                deviation=float((found - wanted).abs().max() / wanted.abs().max()),
                live=_live(network, images[:1]),
                pck=_pck(network, judges, progress=progress),
            )
        )
    return networks, rows


def _network(
    model: StackedHourglass, way: Way, calibration: Sequence[NDArray[np.uint8]]
) -> Network:
    if way == PLAIN:
        return model
    return optimize(
        model,
        precision=cast(FastPrecision, way.precision),
        backend=cast(BackendName, way.backend),
        calibration=calibration if way.precision == "int8" else (),
    )


def _live(network: Network, image: Tensor) -> int | None:
    if not isinstance(network, nn.Module):
        return None
    known = (image, *network.parameters(), *network.buffers())
    return live_bytes(lambda: network(image), known=known)


def _pck(network: Network, judges: Sequence[Sample], *, progress: bool) -> float | None:
    if not judges:
        return None
    lsp, options = DATASETS["lsp"], Options(progress=progress)
    config = EvalConfig(metric="pck", threshold=lsp.threshold, flip=True)
    return engine.evaluate(network, judges, config, skeleton=lsp.skeleton, options=options).mean


def speeds(
    one: Subject,
    networks: Mapping[Way, Network],
    *,
    batch: int,
    repeats: int,
    progress: bool = True,
) -> list[Speed]:
    """Let every network read the same pictures, in turns.

    A first round, in which memory is claimed and kernels are chosen, does not count.

    Args:
        one: What they were made from.
        networks: By way.
        batch: Pictures a call.
        repeats: Rounds that count, 1 or more.
        progress: Show a progress bar.

    Returns:
        A row for each, and for each of `CEILINGS`.
    """
    height, width = one.model.input.size
    random = torch.Generator().manual_seed(0)
    images = torch.rand(batch, one.model.config.in_channels, height, width, generator=random) - 0.5
    calls: dict[Way, Callable[[], object]] = {
        **{way: partial(network, images) for way, network in networks.items()},
        **{way: Product(dtype) for way, dtype in CEILINGS.items()},
    }
    seconds = in_turns(calls, f"{one.name}: batch {batch}", repeats=repeats, progress=progress)
    work = 2 * one.macs * batch
    return [
        Speed(
            model=one.name,
            way=way,
            batch=batch,
            operations=Product.operations if way in CEILINGS else work,
            seconds=tuple(taken),
        )
        for way, taken in seconds.items()
    ]


@torch.inference_mode()
def in_turns(
    calls: Mapping[Name, Callable[[], object]], text: str, *, repeats: int, progress: bool
) -> dict[Name, list[float]]:
    """Let calls take turns, each as often as `TURN` has room for.

    Args:
        calls: What is timed, by name.
        text: Stands beside the progress bar.
        repeats: Rounds that count, 1 or more.
        progress: Show a progress bar.

    Returns:
        The seconds of a call in every round but the first.
    """
    number = dict.fromkeys(calls, 1)
    seconds: dict[Name, list[float]] = {name: [] for name in calls}
    order = [(turn, name) for turn in range(repeats + 1) for name in calls]
    for turn, name in bar(order, text, show=progress, unit="turn"):
        time.sleep(PAUSE)
        taken = _seconds(calls[name], number[name])
        number[name] = max(1, round(TURN / taken))
        if turn:
            seconds[name].append(taken)
    return seconds


def _seconds(call: Callable[[], object], number: int) -> float:
    """Return the median seconds of several calls."""
    taken = []
    for _ in range(number):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return median(taken)


def ceiling_reached(one: Speed, ceiling: Speed) -> float:
    """Return the median, over the rounds, of operations a second, as part of the ceiling's."""
    pairs = zip(one.seconds, ceiling.seconds, strict=True)
    work = one.operations / ceiling.operations
    return median(work * best / own for own, best in pairs)
