"""Training and judging: `fit` and `evaluate`, two plain loops on Hugging Face accelerate."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo import checkpoints, metrics, processes, sides
from hgzoo.calibration import Reliability, calibrated, reliability
from hgzoo.config import EvalConfig, Metric, Options, Recipe
from hgzoo.data import Batch, Crops, Sample, crop_of, loader
from hgzoo.decoders import argmax
from hgzoo.decoders import heights as to_heights
from hgzoo.errors import ConfigError
from hgzoo.geometry import crop_to_heatmap, heatmap_to_crop
from hgzoo.inference import Network, autocast, decoder_for, read_keypoints
from hgzoo.model import StackedHourglass
from hgzoo.progress import bar
from hgzoo.run import Run
from hgzoo.scoring import Score, Truth, score
from hgzoo.sides import Sides
from hgzoo.skeletons import Skeleton, matching

logger = logging.getLogger(__name__)

METRICS: dict[Metric, str] = {"pck": "PCK", "pckh": "PCKh"}
"""What the metrics of a recipe's [eval] table are called."""

LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
"""Rows of the joints that every set of people annotates."""

PCK_EVERY = 10
"""Steps between two looks at the training PCK, which costs a decoding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """People to evaluate on.

    Attributes:
        samples: The people.
        skeleton: What their keypoints are; those that the network has, by name, count.
        share: Of this set in the mean by which the best epoch is chosen; 0 only reports it.
    """

    samples: Sequence[Sample]
    skeleton: Skeleton
    share: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """How good a network is on a set.

    Attributes:
        score: Every figure of the last stack.
        stacks: The pooled mean after each stack, percent: the paper's story of refinement
            (Section 4.3).
        limbs: The pooled mean of shoulders, elbows, wrists, hips, knees and ankles, percent; nan
            where the keypoints have none.
        sources: For a set that is put together from several: the rows of the usual table for the
            people of each, and "people", how many they are.
        company: The pooled mean of people who are "alone" in their picture and of those "among
            others" (Section 4.4); without a kind that nobody is of.
        annotated: For keypoints that are not annotated everywhere: how well the mean of their
            heatmap tells whether they are, as area under the precision-recall curve, percent
            (Section 4.4).
        sides: How well left and right are told apart; None for keypoints without arms and legs.
        reliability: How true the scores of keypoints that count are; for weights without a
            calibration, how far heights of peaks are from probabilities.
        truth: What it was judged by.
        predicted: (x, y), [N, K, 2], picture pixels.
        peaks: Heights of the peaks, [N, K].
        scores: As `Predictor` gives them, [N, K]: those heights, or what the weights say that
            they are worth.
    """

    score: Score
    stacks: list[float]
    limbs: float
    sources: dict[str, dict[str, float]]
    company: dict[str, float]
    annotated: dict[str, float]
    sides: Sides | None
    reliability: Reliability
    truth: Truth
    predicted: NDArray[np.float64]
    peaks: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def groups(self) -> dict[str, float]:
        """The rows of the usual table, and their plain "mean", percent."""
        return {**self.score.groups, "mean": self.mean}

    @property
    def mean(self) -> float:
        """The figure that epochs are compared by, percent: the plain mean of the rows."""
        rows = self.score.groups or self.score.keypoints
        return metrics.mean(np.array(list(rows.values())))


def fit(
    recipe: Recipe,
    model: StackedHourglass,
    *,
    train: Sequence[tuple[Sequence[Sample], float]],
    validation: Mapping[str, HeldOut],
    out: str | Path,
    resume: bool = False,
    options: Options | None = None,
) -> dict[str, Report] | None:
    """Train a network as its recipe says.

    Args:
        recipe: What to do.
        model: The network; changed in place, and left with its last weights (not the best).
        train: Sets of samples with the network's keypoints, and how often an epoch shows each.
        validation: Held-out sets by name. The best epoch is that of the highest mean of their
            figures, each by its share.
        out: The run folder; `hgzoo.run` tells what it holds.
        resume: Go on from its `last.pt`, to the same weights as without the interruption.
        options: Precision, workers, progress bar.

    Returns:
        The report of each held-out set for the best weights, as `release.safetensors` has them;
        None where Ctrl-C stopped the run, which `resume` continues.

    Raises:
        ConfigError: The recipe cannot be trained, no held-out set has a share, or the folder holds
            another run.
        WeightsError: There is no checkpoint to resume from, or it is damaged.
        MissingExtraError: accelerate or timm is not installed.

    Examples:
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.engine import HeldOut, fit
        >>> from hgzoo.finetuning import FINETUNE, prepare
        >>> from hgzoo.config import Options
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> short = replace(FINETUNE, epochs=1, batch_size=2)
        >>> recipe, model = prepare("hg1_nano", skeleton, train=short)
        >>> held_out = {"mine": HeldOut(samples=samples[4:], skeleton=skeleton)}
        >>> sets = {"train": [(samples[:4], 1)], "validation": held_out}
        >>> reports = fit(recipe, model, **sets, out="run", options=Options(progress=False))
        >>> reports["mine"].predicted.shape, Path("run/best.safetensors").is_file()
        ((2, 17, 2), True)
    """
    options = options or Options()
    total = sum(one.share for one in validation.values())
    if not total > 0.0:
        raise ConfigError("no held-out set has a share in choosing the best epoch")

    def reports_of(network: Network) -> dict[str, Report]:
        return {
            name: evaluate(
                network, one.samples, recipe.eval, skeleton=one.skeleton, options=options
            )
            for name, one in validation.items()
        }

    # What scores are worth holds for one set of weights, and these are about to change.
    model.output = model.output.uncalibrated()
    recipe = replace(recipe, output=recipe.output.uncalibrated())
    run = Run(recipe, model, train, out=Path(out), options=options)
    if resume:
        run.restore()
    else:
        run.begin()
    with _stop_on_signal() as stop:
        while run.place.epoch < recipe.train.epochs and not run.stops(stop.requested):
            figures = _train_epoch(run, stop)
            if stop.requested:
                run.save()
                break
            reports = reports_of(run.averaged)
            mean = sum(one.share * reports[name].mean for name, one in validation.items()) / total
            rows = {
                f"{name}/{row}": value
                for name, report in reports.items()
                for row, value in report.groups.items()
            }
            run.finish_epoch({**figures, **rows, "mean": mean}, mean)
    release = run.out / "release.safetensors"
    if processes.is_first() and not stop.requested:
        checkpoints.write(checkpoints.read(run.out / "best.safetensors"), release, half=True)
    processes.wait()
    run.end()
    if stop.requested:
        logger.warning("stopped in epoch %d; --resume goes on", run.place.epoch + 1)
        return None
    model = StackedHourglass.from_checkpoint(checkpoints.read(release), where=str(release))
    return reports_of(model)


def evaluate(
    model: Network,
    samples: Sequence[Sample],
    config: EvalConfig,
    *,
    skeleton: Skeleton | None = None,
    batch_size: int = 32,
    decoder: str = "",
    options: Options | None = None,
) -> Report:
    """Judge a network on annotated people; several processes share them out.

    Args:
        model: A network, on any device, or one that `hgzoo.optimize` made; its mode is kept.
        samples: The people.
        config: Metric, threshold, flip test.
        skeleton: What the samples' keypoints are; those that the network has, by name, count. None
            where they are the network's.
        batch_size: Crops at a time.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        options: Precision, workers, progress bar.

    Returns:
        Percent of correct keypoints, and the predictions in image pixels, both for the samples'
        keypoints; a prediction that the network does not make is nan, with score 0.

    Raises:
        ConfigError: There are no samples, none has a reference length, or the network has none of
            their keypoints.

    Examples:
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo.config import EvalConfig
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.engine import evaluate
        >>> from hgzoo.config import Options
        >>> samples, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> model = hgzoo.create_model("hg1_nano", num_keypoints=17)
        >>> options = Options(progress=False)
        >>> report = evaluate(model, samples, EvalConfig(flip=False), options=options)
        >>> report.predicted.shape, 0.0 <= report.mean <= 100.0
        ((6, 17, 2), True)
    """
    options = options or Options()
    if not samples:
        raise ConfigError(
            "there are no people to evaluate on: the validation set is empty; check that its "
            "pictures lie where its annotations say"
        )
    own = model.output.skeleton_for(model.config.num_keypoints)
    skeleton = skeleton or own
    columns = _columns(own, skeleton)
    crops = Crops(samples, spec=model.input, skeleton=skeleton)
    order = [(0, index) for index in range(len(samples))][processes.index() :: processes.count()]
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    judged = np.zeros(len(samples))
    stacks = np.zeros((model.config.num_stacks, len(samples), own.num_keypoints, 2))
    peaks, activity = np.zeros((2, len(samples), own.num_keypoints))
    modules = [model] if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
    device = model.device
    ready = loader(crops, batches, workers=options.workers)
    decode = decoder_for(model, decoder)
    for batch in bar(ready, "judging", show=options.progress and processes.is_first()):
        with autocast(device, options.precision):
            reading = read_keypoints(model, batch.images, flip=config.flip, decoder=decoder)
        *earlier, last = reading.heights[-len(stacks) :]
        stride = model.input.heatmap_stride
        found = [heatmap_to_crop(decode(height)[0], stride) for height in earlier]
        xy = torch.stack([*found, reading.xy]).double().cpu().numpy()
        for row, index in enumerate(batch.index.tolist()):
            stacks[:, index] = crop_of(samples[index], model.input).to_picture(xy[:, row])
            peaks[index] = reading.score[row].double().cpu().numpy()
            activity[index] = last[row].double().mean((1, 2)).cpu().numpy()
            judged[index] += 1
    for module, mode in zip(modules, modes, strict=True):
        module.train(mode)
    judged, stacks, peaks, activity = (
        processes.summed(torch.from_numpy(part)).numpy()
        for part in (judged, stacks, peaks, activity)
    )
    assert (judged == 1).all(), "somebody was judged twice, or not at all"
    there = np.array(columns) >= 0
    stacks = np.where(there[:, None], stacks[:, :, columns], np.nan)
    scores = calibrated(peaks, model.output.calibration)
    peaks, scores, activity = (
        np.where(there, part[:, columns], 0.0) for part in (peaks, scores, activity)
    )
    truth = _truth(samples, skeleton, there)
    return _report(truth, stacks, peaks, scores, activity, samples, config)


def _columns(own: Skeleton, wanted: Skeleton) -> list[int]:
    """Return for each keypoint to evaluate its index among the network's, or -1."""
    if own.num_keypoints == wanted.num_keypoints and "" in (own.name, wanted.name):
        return list(range(own.num_keypoints))
    columns = matching(own, wanted)
    if max(columns) < 0:
        raise ConfigError(
            f"the network has none of these {wanted.num_keypoints} keypoints "
            f"({', '.join(wanted.keypoints[:3])}, …); its own are "
            f"{', '.join(own.keypoints[:3])}, …: keypoints are matched by name"
        )
    return columns


def _truth(samples: Sequence[Sample], skeleton: Skeleton, there: NDArray[np.bool_]) -> Truth:
    """Return what annotators say; only keypoints that the network has count, [K]."""
    reference = np.array([sample.reference for sample in samples])
    if not (reference > 0).any():
        raise ConfigError(
            "none of these people has a reference length to measure distances by; give "
            "Sample.reference, in picture pixels: of the torso for PCK, of the head for PCKh"
        )
    annotated = np.stack([sample.visible for sample in samples])
    return Truth(
        keypoints=np.stack([sample.keypoints for sample in samples]),
        visible=annotated & (reference > 0)[:, None] & there,
        hidden=np.stack([sample.hidden for sample in samples]),
        reference=reference,
        skeleton=skeleton,
    )


def _report(
    truth: Truth,
    stacks: NDArray[np.float64],
    peaks: NDArray[np.float64],
    scores: NDArray[np.float64],
    activity: NDArray[np.float64],
    samples: Sequence[Sample],
    config: EvalConfig,
) -> Report:
    skeleton, there = truth.skeleton, ~np.isnan(stacks[-1]).all((0, 2))
    annotated = np.stack([sample.visible for sample in samples])
    crowded = np.array([sample.others > 0 for sample in samples])
    hits = [truth.hits(xy, threshold=config.threshold) for xy in stacks]
    limbs = [index for row in LIMBS for index in skeleton.groups.get(row, ())]
    kinds = {"alone": ~crowded, "among others": crowded}
    return Report(
        score=score(truth, stacks[-1], metric=METRICS[config.metric], threshold=config.threshold),
        stacks=[metrics.pooled(hit, truth.visible) for hit in hits],
        limbs=metrics.pooled(hits[-1][:, limbs], truth.visible[:, limbs]),
        sources=_by_source(samples, hits[-1], truth, limbs),
        company={
            name: metrics.pooled(hits[-1][who], truth.visible[who])
            for name, who in kinds.items()
            if who.any() and crowded.any()
        },
        annotated={
            name: 100.0 * metrics.average_precision(activity[:, index], annotated[:, index])
            for index, name in enumerate(skeleton.keypoints)
            if there[index] and annotated[:, index].any() and not annotated[:, index].all()
        },
        sides=sides.judge(truth, stacks[-1], threshold=config.threshold),
        reliability=reliability(scores[truth.visible], hits[-1][truth.visible]),
        truth=truth,
        predicted=stacks[-1],
        peaks=peaks,
        scores=scores,
    )


def _by_source(
    samples: Sequence[Sample], hit: NDArray[np.bool_], truth: Truth, limbs: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Return the rows of the usual table for the people of each source."""
    source = np.array([sample.source for sample in samples])
    table = {}
    for name in sorted({*source.tolist()} - {""}):
        who = source == name
        rows = metrics.grouped(metrics.percent(hit[who], truth.visible[who]), truth.skeleton.groups)
        pooled = metrics.pooled(hit[who][:, limbs], truth.visible[who][:, limbs])
        table[name] = {"people": float(who.sum()), **rows, "limbs": pooled}
    return table


def _train_epoch(run: Run, stop: Stop) -> dict[str, float]:
    """Pass over the training pictures once, or what is left of it; return loss, PCK and rate."""
    place = run.place
    run.batches.epoch, run.batches.skip = place.epoch, place.batch
    run.model.train()
    size, text = run.config.batch_size, f"epoch {place.epoch + 1}/{run.config.epochs}"
    left = (len(run.batches) - place.batch) * size
    show = run.options.progress and processes.is_first()
    with bar((), text, show=show, total=left, unit=" pictures") as shown:
        for loaded in run.loader:
            batch = loaded.to(run.accelerator.device)
            _, heatmaps = run.step(batch)
            if place.batch % PCK_EVERY == 1:
                _look(run, batch, heatmaps)
            shown.set_postfix(_figures(run), refresh=False)
            shown.update(size)
            if run.complete and run.stops(stop.requested):
                stop.requested = True
                break
            if run.complete and place.batch % run.options.save_every == 0:
                run.save()
    return {**_figures(run), "lr": run.optimizer.param_groups[0]["lr"]}


def _figures(run: Run) -> dict[str, float]:
    """Return what the epoch's batches gave so far: the mean loss, and the PCK in percent."""
    place = run.place
    return {
        "loss": place.loss / max(1, place.batch),
        "pck": 100.0 * place.right / max(1, place.annotated),
    }


def _look(run: Run, batch: Batch, heatmaps: Tensor) -> None:
    """Count which of a batch's keypoints lie within a tenth of the person's extent."""
    spec, output = run.model.input, run.model.output
    xy, _ = argmax(to_heights(heatmaps, output.heatmaps))
    true = crop_to_heatmap(batch.keypoints, spec.heatmap_stride)
    near = (xy - true).norm(dim=-1) <= 0.1 * spec.heatmap_size[0] / spec.box_padding
    counted = torch.stack([(near & batch.visible).sum(), batch.visible.sum()])
    right, annotated = processes.summed(counted).tolist()
    run.place.right += right
    run.place.annotated += annotated


@dataclass
class Stop:
    """Whether somebody pressed Ctrl-C, or the machine asked the process to end."""

    requested: bool = False


@contextmanager
def _stop_on_signal() -> Iterator[Stop]:
    """Turn the first signal into a request to stop after the step; a second one stops at once."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(number: int, frame: object) -> None:
        stop.requested = True
        restore()

    try:
        for number in before:
            signal.signal(number, request)
    except ValueError:  # not the main thread: signals go elsewhere
        yield stop
        return
    try:
        yield stop
    finally:
        restore()
