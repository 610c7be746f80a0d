"""Half a body, things in front and a neighbor: what they may change of a crop, and what not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from hgzoo.config import AugmentConfig, InputSpec
from hgzoo.data import Crops, Sample, augmentations, crop_of, transforms
from hgzoo.data.augmentations import half_body, paste, patches, place_beside
from hgzoo.data.samples import sample_from_keypoints
from hgzoo.errors import ConfigError
from hgzoo.geometry import Crop, inside
from hgzoo.pictures import load
from hgzoo.skeletons import SKELETONS

LSP = SKELETONS["lsp"]
SPEC = InputSpec(size=(64, 48))
STILL = AugmentConfig(scale_std=0.0, rotation_prob=0.0, flip_prob=0.0, color=(1.0, 1.0))
KEYS = ("half_body_prob", "occlusion_prob", "neighbor_prob")
STANDING = np.array(
    [
        *((42, 110), (43, 85), (44, 60), (56, 60), (57, 85), (58, 110)),
        *((35, 58), (37, 45), (42, 28), (58, 28), (63, 45), (65, 58), (50, 25), (50, 10)),
    ],
    np.float64,
)
"""A person upright, 100 pixels tall, in a picture of 120 x 100."""


def person(path: Path, *, gray: int) -> Sample:
    """Write a picture of one gray tone with some noise, and stand a person in it."""
    random = np.random.default_rng(gray)
    noise = random.integers(-9, 10, (120, 100, 3))
    Image.fromarray((gray + noise).astype(np.uint8)).save(path)
    return sample_from_keypoints(path, STANDING, np.ones(14, np.bool_))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("pair")
    return [person(folder / "dark.png", gray=40), person(folder / "light.png", gray=220)]


def only(key: str, value: float) -> AugmentConfig:
    table: dict[str, Any] = {key: value}
    return replace(STILL, **table)


def crops(samples: list[Sample], augment: AugmentConfig, *, skeleton: str = "lsp") -> Crops:
    return Crops(samples, spec=SPEC, skeleton=SKELETONS[skeleton], augment=augment, seed=3)


@pytest.mark.parametrize("key", KEYS)
def test_each_change_repeats_for_a_showing_and_differs_for_another(
    pair: list[Sample], key: str
) -> None:
    data = crops(pair, only(key, 1.0))
    again = crops(pair, only(key, 1.0))
    for one, other in zip(data[4, 0], again[4, 0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(data[4, 0][0], data[showing, 0][0]) for showing in range(5, 9))


@pytest.mark.parametrize("key", KEYS)
def test_a_change_is_made_as_often_as_asked(pair: list[Sample], key: str) -> None:
    plain, half = crops(pair, STILL), crops(pair, only(key, 0.5))
    changed = [not np.array_equal(plain[s, 0][0], half[s, 0][0]) for s in range(200)]
    assert 0.3 < np.mean(changed) < 0.6


def test_a_half_is_shown_wholly_and_larger(pair: list[Sample]) -> None:
    shown = set()
    for seed in range(20):
        half = half_body(pair[0], LSP.halves, np.random.default_rng(seed))
        crop = crop_of(half, SPEC)
        seen = inside(crop.to_crop(half.keypoints), SPEC.size)
        assert half.scale < pair[0].scale
        assert not seen.all()
        shown |= {half_index for half_index in (0, 1) if seen[list(LSP.halves[half_index])].all()}
    assert shown == {0, 1}


@pytest.mark.parametrize("key", KEYS)
def test_a_mirror_changes_nothing_else(pair: list[Sample], key: str) -> None:
    data, mirrored = (
        crops(pair, replace(only(key, 1.0), flip_prob=flip, scale_std=0.2)) for flip in (0.0, 1.0)
    )
    for showing in range(10):
        image, xy, visible, *_ = data[showing, 0]
        other, swapped, seen, *_ = mirrored[showing, 0]
        np.testing.assert_array_equal(other, image[:, ::-1])
        np.testing.assert_allclose(swapped[:, 0], SPEC.size[1] - 1 - xy[LSP.flip_index, 0])
        np.testing.assert_array_equal(seen, visible[LSP.flip_index])


def test_recipes_without_the_changes_draw_as_they_always_did(tmp_path: Path) -> None:
    """Places and colors of three showings, as they were before these changes existed."""
    Image.fromarray(np.full((120, 100, 3), 100, np.uint8)).save(tmp_path / "gray.png")
    alone = sample_from_keypoints(tmp_path / "gray.png", STANDING, np.ones(14, np.bool_))
    data = crops([alone], AugmentConfig())
    before = [
        ((39.18, 22.45), [98, 72, 118]),
        ((23.5, 5.98), [86, 101, 119]),
        ((41.42, 14.51), [96, 85, 62]),
    ]
    for showing, (head, color) in enumerate(before):
        image, xy, *_ = data[showing, 0]
        np.testing.assert_allclose(xy[13], head, atol=0.01)
        np.testing.assert_array_equal(image[32, 24], color)


@pytest.mark.parametrize(("hidden", "shown"), [(range(3, 10), "whole"), (range(2, 6), "upper")])
def test_halves_with_too_few_annotated_keypoints_are_not_shown_alone(
    pair: list[Sample], hidden: range, shown: str
) -> None:
    """7 of a person's keypoints are too few, and 2 of a half."""
    visible = np.ones(14, np.bool_)
    visible[list(hidden)] = False
    few = replace(pair[0], visible=visible)
    draws = [half_body(few, LSP.halves, np.random.default_rng(seed)) for seed in range(20)]
    upper = STANDING[list(LSP.halves[0])]
    middle = few.center if shown == "whole" else tuple((upper.min(0) + upper.max(0)) / 2)
    assert {draw.center for draw in draws} == {middle}


def test_a_half_is_never_shown_smaller_than_the_whole(pair: list[Sample]) -> None:
    near = replace(pair[0], scale=0.1)
    assert half_body(near, LSP.halves, np.random.default_rng(0)).scale == 0.1


def test_upper_and_lower_follow_from_names() -> None:
    for name in ("coco", "lsp", "mpii", "flic"):
        skeleton = SKELETONS[name]
        upper, lower = skeleton.halves
        assert sorted(upper + lower) == list(range(skeleton.num_keypoints))
        words = {skeleton.keypoints[i].split("_")[-1] for i in lower}
        assert words <= {"pelvis", "hip", "knee", "ankle"}


def test_a_patch_is_a_tenth_to_a_third_of_the_crop_high_and_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(augmentations, "PATCHES", (1, 1))
    random = np.random.default_rng(0)
    sides, round_ones = [], 0
    for _ in range(1000):
        rows, columns, _ = np.nonzero(patches((128, 256), random))
        cut = min(rows.min(), columns.min()) == 0 or rows.max() == 127 or columns.max() == 255
        if not cut:
            sides.append(((np.ptp(rows) + 1) / 128, (np.ptp(columns) + 1) / 256))
            round_ones += len(rows) < (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    low, high = np.min(sides, axis=0), np.max(sides, axis=0)
    assert ((low > 0.09) & (low < 0.12)).all()
    assert ((high > 0.34) & (high < 0.36)).all()
    assert 0.4 < round_ones / len(sides) < 0.6


def test_one_to_three_patches_hide_a_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentations, "PATCH_SIDES", (0.01, 0.01))
    random = np.random.default_rng(0)
    numbers = [
        cv2.connectedComponents(patches((300, 300), random)[..., 0].astype(np.uint8))[0] - 1
        for _ in range(300)
    ]
    assert set(numbers) == {1, 2, 3}


def test_only_what_patches_cover_is_hidden_and_stays_labeled(
    pair: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((*SPEC.size, 1), np.bool_)
    mask[10:50, 20:30] = True
    monkeypatch.setattr(transforms, "patches", lambda size, random: mask)
    plain, data = crops(pair, STILL)[0, 0], crops(pair, only("occlusion_prob", 1.0))
    means = []
    for showing in range(60):
        image, xy, visible, *_ = data[showing, 0]
        np.testing.assert_array_equal(image[~mask[..., 0]], plain[0][~mask[..., 0]])
        np.testing.assert_array_equal(xy, plain[1])
        np.testing.assert_array_equal(visible, plain[2])
        means.append((image[mask[..., 0]].mean(), image[mask[..., 0]].std()))
    noise = [std > 60 for _, std in means]
    light = [mean > 200 for mean, _ in means]  # the other picture
    assert 0 < np.mean(noise) < 0.5
    assert 0 < np.mean(light) < 0.5


def test_a_neighbor_changes_no_label(pair: list[Sample]) -> None:
    config = replace(STILL, shift_std=0.2, rotation_prob=0.5)
    plain, crowded = crops(pair, config), crops(pair, replace(config, neighbor_prob=1.0))
    for showing in range(50):
        np.testing.assert_array_equal(plain[showing, 0][1], crowded[showing, 0][1])
        np.testing.assert_array_equal(plain[showing, 0][2], crowded[showing, 0][2])


def test_a_neighbor_stands_beside_and_is_about_as_large(pair: list[Sample]) -> None:
    random = np.random.default_rng(0)
    crop = replace(crop_of(pair[0], SPEC), center=(60.0, 80.0), rotation=30.0)
    middle = crop.to_crop(np.array(pair[0].center))
    extent = pair[0].scale * 200 * SPEC.size[0] / crop.extent[0]
    places, sizes = [], []
    for _ in range(1000):
        where = place_beside(pair[0], crop, pair[1], random)
        assert where.rotation == crop.rotation
        away = (where.to_crop(np.array(pair[1].center)) - middle) / extent
        assert abs(away[1]) < 1e-9
        places.append(float(away[0]))
        sizes.append(pair[1].scale * 200 * SPEC.size[0] / where.extent[0] / extent)
    assert 0.45 <= np.abs(places).min() < 0.46
    assert 0.79 < np.abs(places).max() <= 0.8
    assert 0.45 < np.mean(np.array(places) > 0) < 0.55
    assert 0.7 <= min(sizes) < 0.71
    assert 1.19 < max(sizes) <= 1.2


@pytest.mark.parametrize("behind", [True, False])
def test_a_neighbor_behind_leaves_the_torso_as_it_is(pair: list[Sample], behind: bool) -> None:
    crop = crop_of(pair[0], SPEC)
    xy = crop.to_crop(pair[0].keypoints)
    image = crop.warp(load(pair[0].path))
    light = load(pair[1].path)
    pasted = paste(image, light, crop, pair[1].keypoints, xy if behind else None)
    x, y = np.rint(xy[LSP.keypoints.index("neck")] + [0, 6]).astype(int)
    changed = pasted[y - 3 : y + 4, x - 2 : x + 3] != image[y - 3 : y + 4, x - 2 : x + 3]
    assert changed.mean() < 0.05 if behind else changed.mean() > 0.95


def test_neighbors_come_before_and_behind(
    pair: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    fronts = []

    def listen(image: Any, picture: Any, crop: Any, xy: Any, front: Any) -> Any:
        fronts.append(front is None)
        return paste(image, picture, crop, xy, front)

    monkeypatch.setattr(transforms, "paste", listen)
    data = crops(pair, only("neighbor_prob", 1.0))
    assert [data[showing, 0][3] for showing in range(100)] == [0] * 100
    assert 0.35 < np.mean(fronts) < 0.65


def test_a_neighbor_is_another_person_with_half_its_keypoints_annotated(
    pair: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(pair[1], visible=np.arange(14) < 6)
    dot = replace(pair[1], keypoints=np.ones((14, 2)))
    stood = []

    def listen(sample: Sample, crop: Crop, neighbor: Sample, random: np.random.Generator) -> Crop:
        stood.append(neighbor)
        return place_beside(sample, crop, neighbor, random)

    monkeypatch.setattr(transforms, "place_beside", listen)
    data = crops([pair[0], few, dot, pair[1]], only("neighbor_prob", 1.0))
    assert [data[showing, 0][3] for showing in range(30)] == [0] * 30
    assert stood == [pair[1]] * 30


def test_nothing_is_pasted_from_beyond_a_picture(pair: list[Sample]) -> None:
    """A neighbor at its picture's edge brings no black with it."""
    image = np.full((*SPEC.size, 3), 220, np.uint8)
    picture = load(pair[1].path)
    where = crop_of(pair[1], SPEC)
    beyond = pair[1].keypoints - [45.0, 0.0]
    assert paste(image, picture, where, beyond, None).min() > 190


def test_who_is_alone_in_a_set_has_no_neighbor(pair: list[Sample]) -> None:
    alone = crops(pair[:1], only("neighbor_prob", 1.0))
    np.testing.assert_array_equal(alone[0, 0][0], crops(pair, STILL)[0, 0][0])


def test_half_bodies_need_names_that_tell_the_half(pair: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="half_body_prob needs keypoints of an upper or a lower"):
        crops(pair, replace(STILL, half_body_prob=0.1), skeleton="box")


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("key", [*KEYS, "flip_prob", "gray_prob", "rotation_prob", "collage_prob"])
def test_what_is_no_probability_is_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{key} must be in 0\.\.1"):
        only(key, value)
