"""Annotations as published, and the crops made of them."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from hgzoo.config import AugmentConfig, InputSpec
from hgzoo.data import DATASETS, Crops, EpochBatches, Sample, loader, usable
from hgzoo.data.arrays import read_arrays
from hgzoo.data.lsp import TEST_COPIES
from hgzoo.data.samples import sample_from_keypoints
from hgzoo.data.transforms import random_color, random_crop
from hgzoo.errors import DataError
from hgzoo.geometry import Crop
from hgzoo.skeletons import SKELETONS
from tests.people import write_lsp, write_lspet

SPEC = InputSpec(size=(64, 48))
FLIP = SKELETONS["lsp"].flip_index
STILL = AugmentConfig(
    scale_std=0.0, rotation_prob=0.0, shift_std=0.0, flip_prob=0.0, color=(1.0, 1.0), gray_prob=0.0
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    write_lsp(folder)
    write_lspet(folder)
    return folder


def test_lsp_is_read_0_based_and_hidden_joints_count(root: Path) -> None:
    samples = DATASETS["lsp"].validation(root)
    assert len(samples) == 200
    assert samples[0].path.name == "im0801.jpg"
    from tests.people import keypoints

    np.testing.assert_allclose(
        samples[0].keypoints, keypoints(1000, width=40, height=56)[800], atol=1e-9
    )
    assert samples[0].visible.all()


def test_near_copies_of_test_pictures_are_left_out(root: Path) -> None:
    numbers = {int(sample.path.stem[2:]) for sample in DATASETS["lsp"].train(root)}
    assert numbers == set(range(1, 801)) - TEST_COPIES
    assert len(numbers) == 790


def test_lspet_flags_have_the_opposite_sense(root: Path) -> None:
    samples = DATASETS["lspet"].train(root)
    assert len(samples) == 6
    assert [bool(seen) for seen in samples[0].visible] == [index != 3 for index in range(14)]


def test_corrections_swap_sides_back_and_hide_doubtful_keypoints(tmp_path: Path) -> None:
    xy = write_lspet(tmp_path, number=79)
    plain = DATASETS["lspet"].train(tmp_path)
    cleaned = DATASETS["lspet_cleaned"].train(tmp_path)
    corrections = json.loads((files("hgzoo.data") / "lspet_corrections.json").read_text())
    swapped = [n for n in corrections["swapped"] if n <= 79]
    doubtful = {int(n): k for n, k in corrections["doubtful"].items() if int(n) <= 79}
    assert swapped
    assert doubtful
    for number, before, after in zip(range(1, 80), plain, cleaned, strict=True):
        turned = number in swapped
        labels = xy[number - 1][FLIP] if turned else xy[number - 1]
        seen = before.visible[FLIP] if turned else before.visible
        gone = np.isin(np.arange(14), doubtful.get(number, []))
        np.testing.assert_array_equal(after.visible, seen & ~gone)
        np.testing.assert_allclose(after.keypoints[after.visible], labels[after.visible])


def test_corrections_concern_the_pictures_that_are_trained_on(assets: Path) -> None:
    plain, cleaned = (DATASETS[n].train(assets / "data") for n in ("lspet", "lspet_cleaned"))
    pairs = list(zip(plain, cleaned, strict=True))
    assert sum((a.keypoints != b.keypoints).any() for a, b in pairs) == 202
    assert sum(int(a.visible.sum() - b.visible.sum()) for a, b in pairs) == 1212


def test_center_and_scale_come_from_the_visible_joints() -> None:
    xy = np.array([[10.0, 20.0], [40.0, 80.0], [-900.0, 3.0]])
    sample = sample_from_keypoints(Path("x.jpg"), xy, np.array([True, True, False]))
    assert sample.center == (25.0, 50.0)
    assert sample.scale == 60 / 200


def test_a_person_without_extent_is_refused() -> None:
    with pytest.raises(DataError, match="two visible keypoints"):
        sample_from_keypoints(Path("x.jpg"), np.ones((3, 2)), np.ones(3, bool))


def test_a_missing_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder that holds lsp/joints\.mat"):
        DATASETS["lsp"].train(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lsp").mkdir()
    (tmp_path / "lsp" / "joints.mat").write_bytes(b"not a matrix")
    with pytest.raises(DataError, match="damaged"):
        DATASETS["lsp"].train(tmp_path)


def test_a_file_damaged_in_its_compressed_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lsp" / "joints.mat"
    path.parent.mkdir()
    joints = np.random.default_rng(0).uniform(1, 200, (3, 14, 9))
    scipy.io.savemat(path, {"joints": joints}, do_compression=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        DATASETS["lsp"].train(tmp_path)
    with pytest.raises(DataError, match="damaged"):
        read_arrays(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    write_lspet(tmp_path, number=2)
    (tmp_path / "lspet" / "images" / "im00002.jpg").unlink()
    people, problems = usable(DATASETS["lspet"].train(tmp_path))
    assert [person.path.name for person in people] == ["im00001.jpg"]
    (problem,) = problems
    assert problem.endswith("im00002.jpg: the picture is missing")


def crops(samples: list[Sample], augment: AugmentConfig | None) -> Crops:
    return Crops(samples, spec=SPEC, skeleton=SKELETONS["lsp"], augment=augment, seed=3)


def test_no_augmentation_is_the_plain_crop(root: Path) -> None:
    samples = DATASETS["lspet"].train(root)
    plain, still = crops(samples, None)[0, 1], crops(samples, STILL)[0, 1]
    for one, other in zip(plain, still, strict=True):
        np.testing.assert_array_equal(one, other)


def test_keypoints_follow_the_picture_through_every_augmentation(tmp_path: Path) -> None:
    """A bright square is found where its keypoint says, however the crop was drawn."""
    strong = AugmentConfig(rotation_prob=1.0, shift_std=0.1, color=(0.9, 1.1))
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[37:44, 67:74] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    xy = np.tile([[30.0, 10.0]], (14, 1))
    xy[0], xy[12] = (90.0, 80.0), (70.0, 40.0)  # 12 is the neck, which no flip renames
    data = crops([sample_from_keypoints(tmp_path / "a.png", xy, np.ones(14, bool))], strong)
    errors = []
    for showing in range(40):
        image, found, *_ = data[showing, 0]
        if ((found[12] > 8) & (found[12] < (40, 56))).all():
            weight = image.sum(2, dtype=float)
            rows, columns = np.indices(weight.shape)
            middle = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
            errors.append(np.abs(found[12] - middle).max())
    assert len(errors) > 20
    assert max(errors) < 0.3


def test_a_flip_mirrors_the_picture_and_swaps_names(root: Path) -> None:
    samples = DATASETS["lspet"].train(root)
    image, xy, visible, *_ = crops(samples, STILL)[0, 0]
    mirrored, swapped, seen, *_ = crops(samples, replace(STILL, flip_prob=1.0))[0, 0]
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    np.testing.assert_allclose(swapped[5], [48 - 1 - xy[0, 0], xy[0, 1]])
    assert seen.tolist() == visible[FLIP].tolist()


def test_the_same_showing_is_the_same_crop_and_another_is_not(root: Path) -> None:
    data = crops(DATASETS["lspet"].train(root), AugmentConfig())
    np.testing.assert_array_equal(data[4, 2][0], data[4, 2][0])
    assert not np.array_equal(data[4, 2][0], data[5, 2][0])


def test_keypoints_outside_the_crop_are_not_visible(root: Path) -> None:
    data = crops(DATASETS["lspet"].train(root), replace(STILL, shift_std=1.0))
    hidden = 0
    for showing in range(10):
        _, xy, visible, *_ = data[showing, 0]
        outside = (xy < -0.5).any(1) | (xy[:, 0] > 47.5) | (xy[:, 1] > 63.5)
        assert not (visible & outside).any()
        hidden += int(outside.sum())
    assert hidden > 0


@pytest.fixture(scope="module")
def drawn() -> tuple[Sample, AugmentConfig, list[Crop]]:
    """A thousand random crops of a person 100 pixels tall."""
    xy = np.array([[0.0, 0.0], [9.0, 100.0]])
    sample = sample_from_keypoints(Path("x"), xy, np.ones(2, bool))
    augment = AugmentConfig(scale_std=0.25, rotation_std=30.0, rotation_prob=0.4, shift_std=0.1)
    random = np.random.default_rng(0)
    return sample, augment, [random_crop(sample, SPEC, augment, random) for _ in range(1000)]


CLIPPED = 0.9595
"""Standard deviation of a standard normal that is clipped to two of them."""


def test_random_scale_has_its_spread_and_limits(
    drawn: tuple[Sample, AugmentConfig, list[Crop]],
) -> None:
    """Powers of two, normal with 0.25, clipped at twice that: 4.6 % lie on the two limits."""
    sample, _, crops = drawn
    plain = sample.scale * 200 * SPEC.box_padding
    powers = np.log2([crop.extent[0] / plain for crop in crops])
    assert powers.mean() == pytest.approx(0.0, abs=0.03)
    assert powers.std() == pytest.approx(0.25 * CLIPPED, rel=0.08)
    assert (powers.min(), powers.max()) == pytest.approx((-0.5, 0.5))
    assert 0.025 < np.isclose(np.abs(powers), 0.5).mean() < 0.075


def test_random_rotation_has_its_spread_limits_and_share(
    drawn: tuple[Sample, AugmentConfig, list[Crop]],
) -> None:
    """Four in ten turn, by degrees that are normal with 30, clipped at 60."""
    turns = np.array([crop.rotation for crop in drawn[2]])
    turned = turns[turns != 0]
    assert len(turned) / 1000 == pytest.approx(0.4, abs=0.06)
    assert turned.mean() == pytest.approx(0.0, abs=6.0)
    assert turned.std() == pytest.approx(30.0 * CLIPPED, rel=0.12)
    assert (turned.min(), turned.max()) == pytest.approx((-60.0, 60.0))


def test_random_shift_has_its_spread_in_both_directions(
    drawn: tuple[Sample, AugmentConfig, list[Crop]],
) -> None:
    """Normal with a tenth of 100 pixels, x and y each for itself, and not clipped."""
    sample, _, crops = drawn
    shifts = np.array([crop.center for crop in crops]) - sample.center
    np.testing.assert_allclose(shifts.mean(0), 0.0, atol=1.3)
    np.testing.assert_allclose(shifts.std(0), 10.0, rtol=0.1)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.13
    assert (np.abs(shifts).max(0) > 25.0).all()


def test_scale_rotation_and_shift_are_drawn_apart(
    drawn: tuple[Sample, AugmentConfig, list[Crop]],
) -> None:
    rows = [(np.log(crop.extent[0]), crop.rotation, *crop.center) for crop in drawn[2]]
    assert np.abs(np.corrcoef(np.array(rows).T) - np.eye(4)).max() < 0.13


def test_a_crop_is_mirrored_as_often_as_asked(root: Path) -> None:
    person = DATASETS["lspet"].train(root)[0]
    plain, data = crops([person], None)[0, 0], crops([person], replace(STILL, flip_prob=0.3))
    mirrored = [not np.array_equal(data[n, 0][1], plain[1]) for n in range(1000)]
    assert np.mean(mirrored) == pytest.approx(0.3, abs=0.06)


def test_color_gains_fill_their_range_evenly_each_channel_for_itself() -> None:
    """Uniform in 0.6..1.4: a standard deviation of 0.8 / sqrt(12)."""
    image, random = np.full((1, 1, 3), 100, np.uint8), np.random.default_rng(0)
    augment = AugmentConfig(color=(0.6, 1.4))
    gains = np.array([random_color(image, augment, random)[0, 0] for _ in range(1000)]) / 100
    np.testing.assert_allclose(gains.mean(0), 1.0, atol=0.035)
    np.testing.assert_allclose(gains.std(0), 0.8 / 12**0.5, rtol=0.08)
    assert (gains.min(0) < 0.61).all()
    assert (gains.max(0) > 1.38).all()
    assert gains.min() >= 0.59
    assert gains.max() <= 1.4
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 0.13


def test_color_is_taken_away_as_often_as_asked_and_by_its_luma() -> None:
    """0.299 * 100 + 0.587 * 200 + 0.114 * 51 = 153.1."""
    image, random = np.array([[[100, 200, 51]]], np.uint8), np.random.default_rng(0)
    augment = AugmentConfig(color=(1.0, 1.0), gray_prob=0.2)
    found = [tuple(random_color(image, augment, random)[0, 0].tolist()) for _ in range(1000)]
    assert set(found) == {(100, 200, 51), (153, 153, 153)}
    assert found.count((153, 153, 153)) / 1000 == pytest.approx(0.2, abs=0.05)


def test_color_gains_are_per_channel_and_clipped() -> None:
    image = np.full((2, 3, 3), 200, np.uint8)
    out = random_color(image, AugmentConfig(color=(0.6, 1.4)), np.random.default_rng(1))
    assert len(set(out[0, 0].tolist())) == 3
    assert (out == out[0, 0]).all()
    bright = random_color(image, AugmentConfig(color=(2.0, 2.0)), np.random.default_rng(1))
    assert (bright == 255).all()


def test_an_epoch_shows_each_sample_as_often_as_asked() -> None:
    batches = EpochBatches([1, 3, 2], batch_size=2, seed=0)
    keys = [key for batch in batches for key in batch]
    assert sorted(index for _, index in keys) == [0, 1, 1, 1, 2, 2]
    assert len(set(keys)) == 6


def test_epochs_differ_and_repeat_exactly() -> None:
    batches = EpochBatches([1] * 20, batch_size=3, seed=0)
    first = list(batches)
    assert list(batches) == first
    assert len(first) == len(batches) == 6
    batches.epoch = 1
    assert [[i for _, i in batch] for batch in batches] != [[i for _, i in b] for b in first]


def test_skipping_leaves_out_the_first_batches() -> None:
    batches = EpochBatches([1] * 20, batch_size=3, seed=0)
    whole = list(batches)
    batches.skip = 4
    assert list(batches) == whole[4:]


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_hold_bytes_and_keypoints(root: Path, workers: int) -> None:
    data = crops(DATASETS["lspet"].train(root), None)
    (batch,) = loader(data, [[(0, 1), (0, 0)]], workers=workers)
    assert batch.images.shape == (2, 3, 64, 48)
    assert batch.images.dtype == torch.uint8
    assert batch.keypoints.shape == (2, 14, 2)
    assert batch.visible.dtype == torch.bool
    assert batch.index.tolist() == [1, 0]
    assert batch.weight.tolist() == [1.0, 1.0]


def test_a_weight_that_is_a_whole_number_is_a_float_in_the_batch(root: Path) -> None:
    twice = [replace(person, weight=2) for person in DATASETS["lspet"].train(root)[:2]]
    (batch,) = loader(crops(twice, None), [[(0, 0), (0, 1)]])
    assert batch.weight.dtype == torch.float32
    assert batch.weight.tolist() == [2.0, 2.0]


def test_the_published_files_are_read(assets: Path) -> None:
    root = assets / "data"
    sizes = {name: len(usable(DATASETS[name].train(root))[0]) for name in ("lsp", "lspet")}
    assert sizes == {"lsp": 790, "lspet": 9700}
    people = DATASETS["lsp"].validation(root)
    assert len(people) == 200
    extents = [200 * sample.scale for sample in people]
    assert 120 < np.median(extents) < 145  # published: person extent about 150 pixels, 132 here
    heads_up = [s.keypoints[13, 1] < s.keypoints[[0, 5], 1].mean() for s in people]
    assert np.mean(heads_up) > 0.8
