"""What a step of training does to the weights, in numbers worked out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hgzoo import checkpoints, engine
from hgzoo.config import AugmentConfig, EvalConfig, InputSpec
from hgzoo.data import DATASETS, Batch, Sample, crop_of, loader
from hgzoo.data.samples import sample_from_keypoints
from hgzoo.geometry import crop_to_heatmap, heatmap_to_crop
from hgzoo.inference import prepare, read_keypoints
from hgzoo.losses import LOSSES, stacked
from hgzoo.model import StackedHourglass
from hgzoo.run import Run
from hgzoo.skeletons import SKELETONS, Skeleton
from hgzoo.targets import TARGETS
from tests.people import write_lsp
from tests.training import QUIET, changed, network

STILL = AugmentConfig(scale_std=0.0, rotation_prob=0.0, flip_prob=0.0, color=(1.0, 1.0))
LSP = SKELETONS["lsp"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    root = tmp_path_factory.mktemp("people")
    write_lsp(root, number=8)
    return DATASETS["lsp"].train(root)


def begun(
    people: Sequence[Sample], *, out: Path = Path("unused"), heatmaps: str = "logits", **train: Any
) -> tuple[Run, Batch]:
    """Begin a plain run, and give all people as one batch.

    Batch norms keep their statistics, so that each picture counts for itself.
    """
    plain = {"ema_decay": 0.0, "clip_grad": 0.0, "warmup_epochs": 0.0, "augment": STILL}
    recipe = changed(**plain | {"batch_size": len(people)} | train)
    recipe = replace(recipe, output=replace(recipe.output, heatmaps=heatmaps))
    run = Run(recipe, network(recipe), [(people, 1)], out=out, options=QUIET)
    run.model.eval()
    return run, next(iter(loader(run.crops, [[(0, index) for index in range(len(people))]])))


def part(batch: Batch, rows: slice) -> Batch:
    return Batch(*(one[rows] for one in batch))


def weights(model: StackedHourglass) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def unlabeled(people: Sequence[Sample]) -> list[Sample]:
    """Give people without a label, who teach nothing: their gradient is zero."""
    return [replace(person, visible=np.zeros(14, bool)) for person in people]


# Gradients.


def test_two_accumulated_batches_move_the_weights_as_one_of_double_size(
    people: list[Sample],
) -> None:
    whole, batch = begun(people[:4], optimizer="sgd", lr=1.0)
    halves, _ = begun(people[:4], optimizer="sgd", lr=1.0, accumulate=2, batch_size=2)
    begin = weights(whole.model)
    whole.step(batch)
    halves.step(part(batch, slice(2)))
    assert torch.equal(weights(halves.model), begin)
    halves.step(part(batch, slice(2, 4)))
    moved = weights(whole.model) - begin
    assert moved.abs().max() > 1e-3
    torch.testing.assert_close(weights(halves.model) - begin, moved, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("part_of_norm", "left"), [(0.25, 0.25), (4.0, 1.0)])
def test_the_gradients_norm_is_clipped_before_the_step(
    people: list[Sample], monkeypatch: pytest.MonkeyPatch, part_of_norm: float, left: float
) -> None:
    def norm(clip_grad: float) -> float:
        run, batch = begun(people[:2], clip_grad=clip_grad)
        norms = []

        def listen() -> None:
            gradients = [p.grad.norm() for p in run.model.parameters() if p.grad is not None]
            norms.append(float(torch.stack(gradients).norm()))

        monkeypatch.setattr(run.optimizer, "step", listen)
        run.step(batch)
        return norms[0]

    whole = norm(0.0)
    assert norm(part_of_norm * whole) == pytest.approx(left * whole, rel=1e-4)


def test_a_gradient_serves_one_step_only(people: list[Sample]) -> None:
    """Without momentum, images without a label leave the weights where they are."""
    run, batch = begun(people[:2], optimizer="momentum", momentum=0.0)
    begin = weights(run.model)
    run.step(batch)
    once = weights(run.model)
    run.step(batch._replace(visible=torch.zeros_like(batch.visible)))
    assert not torch.equal(once, begin)
    assert torch.equal(weights(run.model), once)


# Weights.


@pytest.mark.parametrize(("ema_decay", "kept"), [(0.9, 0.37004), (0.25, 0.25)])
def test_the_average_of_the_weights_warms_up(
    people: list[Sample], ema_decay: float, kept: float
) -> None:
    """At update n it keeps 1 - n^(-2/3) of itself, `ema_decay` at most.

    That is nothing at the first and 0.37 at the second: timm's warm-up.
    """
    run, batch = begun(people[:2], ema_decay=ema_decay)
    run.step(batch)
    one = weights(run.model)
    assert torch.equal(weights(run.averaged), one)
    run.step(batch)
    two = weights(run.model)
    assert (two - one).abs().max() > 1e-3
    torch.testing.assert_close(
        weights(run.averaged), kept * one + (1 - kept) * two, rtol=1e-4, atol=1e-6
    )


def test_without_an_average_the_network_itself_is_evaluated(people: list[Sample]) -> None:
    run, _ = begun(people[:2])
    assert run.averaged is run.model


def test_weight_decay_alone_shrinks_kernels_and_nothing_else(people: list[Sample]) -> None:
    """With a gradient of zero, AdamW multiplies by 1 - lr * weight_decay = 1 - 0.01 * 0.2."""
    run, batch = begun(unlabeled(people[:2]), weight_decay=0.2)
    begin = {name: value.clone() for name, value in run.model.named_parameters()}
    run.step(batch)
    for name, value in run.model.named_parameters():
        factor = 0.998 if value.ndim > 1 else 1.0  # neither biases nor norms
        torch.testing.assert_close(value.data, factor * begin[name], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_best_epoch_is_not_the_last(
    people: list[Sample], tmp_path: Path, ema_decay: float
) -> None:
    """Of figures that rise, fall and come back, the first of the highest is kept."""
    run, batch = begun(people[:2], out=tmp_path, ema_decay=ema_decay)
    run.begin()
    evaluated, kept = [], []
    for figure in (40.0, 60.0, 50.0, 60.0):
        run.step(batch)
        run.finish_epoch({"mean": figure}, figure)
        evaluated.append(run.averaged.stem.conv.weight.detach().clone())
        kept.append(checkpoints.read(tmp_path / "best.safetensors").tensors["stem.conv.weight"])
    run.end()
    assert not torch.equal(evaluated[1], evaluated[2])
    for found, epoch in zip(kept, (0, 1, 1, 1), strict=True):
        assert torch.equal(found, evaluated[epoch])


# Learning rate.


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_rate_warms_up_and_falls_along_a_cosine(people: list[Sample], accumulate: int) -> None:
    """Four epochs of two updates: two of warm-up, then 0.2 + 0.4 * (1 + cos(pi * update / 8))."""
    run, batch = begun(
        unlabeled(people),
        optimizer="sgd",
        batch_size=4 // accumulate,
        accumulate=accumulate,
        epochs=4,
        lr=1.0,
        min_lr=0.2,
        warmup_epochs=1.0,
    )
    rates = []
    for _ in range(8 * accumulate):
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.step(batch)
    by_hand = [0.0, 0.5, 0.88284, 0.75307, 0.6, 0.44693, 0.31716, 0.23045]
    assert rates == pytest.approx(np.repeat(by_hand, accumulate), abs=1e-5)


# The loss.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sigma": 2.0},
        {"target": "gaussian_rounded"},
        {"loss": "mse"},
        {"loss": "mse", "unlabeled": "zero"},
        {"hard_keypoints": 3},
    ],
)
def test_the_loss_is_the_recipes(people: list[Sample], changes: dict[str, Any]) -> None:
    heatmaps = "heights" if "loss" in changes else "logits"
    few = [replace(person, visible=np.arange(14) < 9) for person in people[:2]]
    run, batch = begun(few, heatmaps=heatmaps, **changes)
    config = run.config
    with torch.no_grad():
        stacks = run.model(prepare(batch.images, run.model.input))
    xy = crop_to_heatmap(batch.keypoints, 4)
    total, number = stacked(
        stacks,
        TARGETS[changes.get("target", "gaussian")](xy, (8, 12), changes.get("sigma", 1.0)),
        batch.visible,
        loss=LOSSES[changes.get("loss", "spatial_cross_entropy")],
        unlabeled=changes.get("unlabeled", "ignore"),
        hard_keypoints=changes.get("hard_keypoints", 0),
    )
    assert number == 2 * {"zero": 14}.get(config.unlabeled, config.hard_keypoints or 9)
    loss, _ = run.step(batch)
    assert loss == pytest.approx(float(total / number), rel=1e-5)


def test_labels_count_by_their_weight_in_the_loss(people: list[Sample]) -> None:
    """Four people with as many keypoints: the mean of their losses, weighted 3, 1, 0 and 2."""
    run, batch = begun(people[:4], optimizer="sgd", lr=1e-12)
    assert batch.visible.all()
    alone = [run.step(part(batch, slice(index, index + 1)))[0] for index in range(4)]
    shares = (3.0, 1.0, 0.0, 2.0)
    weighted = [
        replace(person, weight=share) for person, share in zip(people, shares, strict=False)
    ]
    run, batch = begun(weighted)
    assert run.step(batch)[0] == pytest.approx(np.average(alone, weights=shares), rel=1e-5)


@pytest.mark.parametrize(("rule", "taught"), [("ignore", False), ("zero", True)])
def test_an_unlabeled_keypoint_teaches_an_empty_heatmap_or_nothing(
    people: list[Sample], monkeypatch: pytest.MonkeyPatch, rule: str, taught: bool
) -> None:
    few = [replace(person, visible=np.arange(14) != 5) for person in people[:2]]
    run, batch = begun(few, heatmaps="heights", loss="mse", unlabeled=rule)
    monkeypatch.setattr(run.optimizer, "zero_grad", lambda: None)
    run.step(batch)
    gradient = run.model.heads[-1].heatmaps.weight.grad
    assert gradient is not None
    learns = gradient.flatten(1).abs().amax(1) > 0
    assert learns.tolist() == [taught or keypoint != 5 for keypoint in range(14)]


# Seeds.


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides_order_and_augmentation(people: list[Sample], seed: int) -> None:
    augment = AugmentConfig(flip_prob=0.0)
    one, _ = begun(people, batch_size=2, augment=augment)
    other, _ = begun(people, batch_size=2, augment=augment, seed=seed)
    assert (list(one.batches) == list(other.batches)) == (seed == 0)
    assert np.array_equal(one.crops[0, 0][1], other.crops[0, 0][1]) == (seed == 0)


# The whole of it.

CORNERS = Skeleton(name="corners", keypoints=("red", "green", "blue"))


def four_pictures(folder: Path) -> list[Sample]:
    """Draw a red, a green and a blue square on each, at twelve of 4 x 4 places."""
    samples = []
    places = np.random.default_rng(0).permutation(16)[:12].reshape(4, 3)
    for number, numbers in enumerate(places):
        xy = np.stack([numbers % 4, numbers // 4], axis=1) * 16.0 + 5.5
        picture = np.full((64, 64, 3), 40.0)
        for channel, (x, y) in enumerate(xy.astype(int)):
            picture[y - 4 : y + 6, x - 4 : x + 6, channel] = 250.0
        path = folder / f"{number}.png"
        Image.fromarray(picture.astype(np.uint8)).save(path)
        sample = sample_from_keypoints(path, xy, np.ones(3, bool), reference=16.0)
        samples.append(replace(sample, center=(31.5, 31.5), scale=64 / 200))
    return samples


def test_four_pictures_are_learned_by_heart(tmp_path: Path) -> None:
    """Without a look at the pictures, one of the four places of a keypoint would be right."""
    people = four_pictures(tmp_path)
    recipe = changed(
        epochs=60, batch_size=4, lr=2e-2, warmup_epochs=0.0, ema_decay=0.0, augment=STILL
    )
    recipe = replace(
        recipe,
        model=replace(recipe.model, num_stacks=1, num_keypoints=3),
        input=InputSpec(size=(64, 64), box_padding=1.0, mean=(0.3, 0.3, 0.3), std=(0.3, 0.3, 0.3)),
        output=replace(recipe.output, skeleton=CORNERS, decoder="argmax"),
    )
    model = network(recipe)
    run = Run(recipe, model, [(people, 1)], out=Path("unused"), options=QUIET)
    (batch,) = run.loader
    for _ in range(recipe.train.epochs):
        run.step(batch)
    report = engine.evaluate(model, people, EvalConfig(flip=False, threshold=0.25), options=QUIET)
    assert report.mean == 100.0


# Evaluation.


def test_heatmaps_of_picture_and_mirror_are_averaged(people: list[Sample]) -> None:
    """The mirror's heatmaps are turned back, left and right change names, each stack by itself."""
    model = network(changed())
    model.output = replace(model.output, heatmaps="heights", decoder="argmax")
    looked, given = [], torch.rand(2, 2, 3, 14, 8, 12)  # call, stack, [B, K, H, W]

    def forward(images: Tensor) -> list[Tensor]:
        looked.append(images)
        return list(given[len(looked) - 1])

    model.forward = forward  # type: ignore[method-assign]
    images = torch.randint(256, (3, 3, 32, 48), dtype=torch.uint8)
    reading = read_keypoints(model, images, flip=True)
    plain, mirrored = looked
    torch.testing.assert_close(mirrored, plain.flip(3))
    for stack in range(2):
        for keypoint in range(14):
            turned = given[1, stack, :, LSP.flip_index[keypoint]].flip(2)
            wanted = (given[0, stack, :, keypoint] + turned) / 2
            torch.testing.assert_close(reading.heights[stack][:, keypoint], wanted)


@pytest.mark.parametrize("flip", [False, True])
def test_evaluation_asks_the_mirror_where_the_recipe_says_so(
    people: list[Sample], flip: bool
) -> None:
    """The picture puts all keypoints at (2, 3); the mirror, twice as sure, at (4, 6)."""
    model = network(changed())
    model.output = replace(model.output, heatmaps="heights", decoder="argmax")
    given = torch.zeros(2, 3, 14, 8, 12)
    given[0, :, :, 3, 2] = 1.0
    given[1, :, :, 6, 4] = 2.0
    calls = iter(given)
    model.forward = lambda images: [next(calls)]  # type: ignore[method-assign]
    report = engine.evaluate(model, people[:3], EvalConfig(flip=flip), options=QUIET)
    x, y = (11 - 4, 6) if flip else (2, 3)
    for person, found in zip(people, report.predicted, strict=False):
        back = crop_of(person, model.input).to_crop(found)
        np.testing.assert_allclose(back, np.tile([4 * x + 1.5, 4 * y + 1.5], (14, 1)))


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_a_network_in_the_mode_it_had(
    people: list[Sample], training: bool
) -> None:
    """And is itself done in evaluation mode."""
    model = network(changed()).train(training)
    modes = []
    model.stem.register_forward_hook(lambda module, given, made: modes.append(module.training))
    engine.evaluate(model, people[:2], EvalConfig(flip=False), options=QUIET)
    assert modes == [False]
    assert all(module.training == training for module in model.modules())


def test_the_training_pck_counts_what_lies_within_a_tenth_of_the_extent(
    people: list[Sample],
) -> None:
    """A tenth of 8 rows / 1.25 of padding is 0.64 heatmap pixels; peaks are at (5, 4)."""
    run, batch = begun(people[:2], heatmaps="heights", loss="mse")
    heatmaps = torch.zeros(2, 14, 8, 12)
    heatmaps[:, :, 4, 5] = 1.0
    xy = torch.tensor([5.0, 4.0]).repeat(2, 14, 1)
    xy[0, :9, 0] += 0.6  # right
    xy[0, 9:, 0] += 0.7  # wrong
    visible = torch.ones(2, 14, dtype=torch.bool)
    visible[1, 3:] = False
    engine._look(run, batch._replace(keypoints=heatmap_to_crop(xy, 4), visible=visible), heatmaps)
    assert (run.place.right, run.place.annotated) == (9 + 3, 14 + 3)
