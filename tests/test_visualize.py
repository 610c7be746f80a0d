"""Skeletons and heatmaps as pictures."""

from dataclasses import replace

import numpy as np
import pytest

from hgzoo import visualize
from hgzoo.skeletons import SKELETONS, Pose, Skeleton

PAIR = Skeleton(name="", keypoints=("left_end", "right_end"), flip_pairs=((0, 1),), limbs=((0, 1),))


def pose(xy: list[tuple[float, float]], scores: list[float], *, stacks: int = 0) -> Pose:
    heatmaps = np.zeros((stacks, 2, 4, 5), np.float32)
    for stack in range(stacks):
        heatmaps[stack, 0, 1, 1 + stack] = 1.0
    return Pose(
        keypoints=np.array(xy),
        scores=np.array(scores),
        names=PAIR.keypoints,
        box=(0, 0, 60, 40),
        skeleton=PAIR,
        heatmaps=heatmaps if stacks else None,
    )


BLACK = np.zeros((40, 60, 3), np.uint8)


def test_a_keypoint_is_drawn_where_it_is_in_the_color_of_its_side() -> None:
    drawn = visualize.draw_skeleton(BLACK, [pose([(10, 20), (50, 20)], [1.0, 1.0])])
    assert tuple(drawn[20, 10]) == visualize.LEFT
    assert tuple(drawn[20, 50]) == visualize.RIGHT
    assert drawn[20, 30].max() > 0  # the limb
    assert drawn[5].max() == 0


def test_a_keypoint_below_the_threshold_is_absent_and_so_is_its_limb() -> None:
    drawn = visualize.draw_skeleton(BLACK, [pose([(10, 20), (50, 20)], [1.0, 0.3])], threshold=0.5)
    assert tuple(drawn[20, 10]) == visualize.LEFT
    assert drawn[:, 30:].max() == 0


def test_where_nobody_says_a_calibrated_keypoint_is_drawn_when_more_likely_right_than_not() -> None:
    heights = pose([(10, 20), (50, 20)], [1.0, 0.3])
    assert visualize.draw_skeleton(BLACK, [heights])[:, 40:].max() > 0
    probabilities = replace(heights, calibrated=True)
    assert visualize.draw_skeleton(BLACK, [probabilities])[:, 40:].max() == 0


def test_the_picture_itself_is_not_changed() -> None:
    picture = BLACK.copy()
    visualize.draw_skeleton(picture, [pose([(10, 20), (50, 20)], [1.0, 1.0])])
    assert picture.max() == 0


@pytest.mark.parametrize("place", [(-500.0, 20.0), (1e9, 1e9), (float("nan"), 3.0)])
def test_a_keypoint_outside_is_no_trouble(place: tuple[float, float]) -> None:
    visualize.draw_skeleton(BLACK, [pose([place, (50, 20)], [1.0, 1.0])])


def test_a_missing_keypoint_is_absent_at_any_threshold() -> None:
    person = pose([(10, 20), (float("nan"), float("nan"))], [1.0, 0.0])
    drawn = visualize.draw_skeleton(BLACK, [person], threshold=0.0)
    assert tuple(drawn[20, 10]) == visualize.LEFT
    assert drawn[:, 20:].max() == 0


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_can_be_drawn(skeleton: Skeleton) -> None:
    number = skeleton.num_keypoints
    person = Pose(
        keypoints=np.random.default_rng(0).uniform(0, 40, (number, 2)),
        scores=np.ones(number),
        names=skeleton.keypoints,
        box=(0, 0, 60, 40),
        skeleton=skeleton,
    )
    assert visualize.draw_skeleton(BLACK, [person]).any()


def test_nameless_keypoints_have_colors_of_their_own() -> None:
    plain = Skeleton(name="", keypoints=("a", "b", "c"))
    person = Pose(
        keypoints=np.array([[10.0, 20], [30, 20], [50, 20]]),
        scores=np.ones(3),
        names=plain.keypoints,
        box=(0, 0, 60, 40),
        skeleton=plain,
    )
    drawn = visualize.draw_skeleton(BLACK, [person])
    assert len({tuple(drawn[20, x]) for x in (10, 30, 50)}) == 3


def test_a_heatmap_is_brightest_at_its_peak() -> None:
    heights = np.zeros((3, 8, 12), np.float32)
    heights[1, 2, 9] = 1.0
    drawn = visualize.draw_heatmap(np.full((32, 48, 3), 100, np.uint8), heights)
    y, x = np.unravel_index(drawn.sum(2).argmax(), drawn.shape[:2])
    assert (y // 4, x // 4) == (2, 9)


def test_an_empty_heatmap_leaves_the_dimmed_crop() -> None:
    drawn = visualize.draw_heatmap(BLACK + 100, np.zeros((2, 8, 12), np.float32))
    assert np.ptp(drawn.reshape(-1, 3), axis=0).max() == 0


def test_the_panel_shows_the_crop_and_each_stack() -> None:
    crop = np.full((240, 300, 3), 100, np.uint8)
    panel = visualize.draw_stacks(crop, pose([(1, 1), (2, 2)], [1, 1], stacks=3))
    assert panel.shape == (240, 300 + 3 * 304, 3)
    np.testing.assert_array_equal(panel[:, :300], crop)
    assert not np.array_equal(panel[:, 304:604], panel[:, 608:908])


def test_stacks_share_one_scale_of_brightness() -> None:
    person = pose([(1, 1), (2, 2)], [1, 1], stacks=2)
    assert person.heatmaps is not None
    person.heatmaps[0] *= 0.2
    panel = visualize.draw_stacks(np.zeros((256, 300, 3), np.uint8), person)
    assert panel[:200, 304:604].max() < 0.7 * panel[:200, 608:].max()


def test_the_strength_of_a_heatmap_is_how_much_it_hides() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    heights = np.ones((1, 8, 12), np.float32)
    np.testing.assert_array_equal(visualize.draw_heatmap(crop, heights, strength=0.0), crop)
    hidden = visualize.draw_heatmap(crop, heights, strength=1.0)
    assert len(np.unique(hidden.reshape(-1, 3), axis=0)) == 1


def test_chosen_heatmaps_are_drawn_alone() -> None:
    person = pose([(1, 1), (2, 2)], [1, 1], stacks=2)
    assert person.heatmaps is not None
    alone = replace(person, heatmaps=person.heatmaps[:, 1:])
    crop = np.zeros((256, 300, 3), np.uint8)
    drawn = visualize.draw_stacks(crop, person, keypoints=[1])
    np.testing.assert_array_equal(drawn, visualize.draw_stacks(crop, alone))
    assert not np.array_equal(drawn, visualize.draw_stacks(crop, person))


def test_curves_fill_the_picture_up_to_their_top() -> None:
    """Twice the heights under twice the top are the same curve; only the figures differ."""
    x, rising = [0.0, 1.0], [0.0, 50.0]
    low = visualize.draw_curves(x, {"a": rising}, x_label="x", top=50.0, size=(240, 400))
    high = visualize.draw_curves(x, {"a": [0.0, 100.0]}, x_label="x", size=(240, 400))
    assert low.shape == high.shape == (240, 400, 3)
    np.testing.assert_array_equal(low[:, 60:], high[:, 60:])
    assert not np.array_equal(
        low, visualize.draw_curves(x, {"a": rising}, x_label="x", size=(240, 400))
    )


def test_small_crops_are_enlarged() -> None:
    crop = np.full((64, 32, 3), 100, np.uint8)
    assert visualize.draw_stacks(crop, pose([(1, 1), (2, 2)], [1, 1])).shape == (256, 128, 3)


def test_a_panel_without_heatmaps_is_the_crop() -> None:
    crop = np.full((240, 300, 3), 100, np.uint8)
    np.testing.assert_array_equal(visualize.draw_stacks(crop, pose([(1, 1), (2, 2)], [1, 1])), crop)


def test_bars_are_as_high_as_their_numbers() -> None:
    """Of 200 rows the bar of 4 takes all, that of 2 half; one color a name, in every group."""
    groups = {"float32": {"torch": 2.0, "openvino": 4.0}, "bfloat16": {"openvino": 4.0}}
    drawn = visualize.draw_bars(groups, label="times faster", line=1.0, size=(292, 600))
    assert drawn.shape == (292, 600, 3)
    bars = drawn[:, :410]  # the key stands to the right
    red, cyan = ((bars == color).all(2) for color in ((191, 19, 19), (19, 191, 191)))
    assert np.flatnonzero(red.any(1)).tolist() == [row for row in range(144, 244) if row != 194]
    assert np.flatnonzero(cyan.any(1))[[0, -1]].tolist() == [44, 243]
    starts = np.diff(cyan[100].astype(int)) == 1
    assert starts.sum() == 2


def test_no_bars_are_an_empty_picture() -> None:
    assert visualize.draw_bars({}, label="nothing", size=(100, 300)).shape == (100, 300, 3)


def test_boxes_are_drawn_along_their_edges() -> None:
    drawn = visualize.draw_boxes(BLACK, [(10, 5, 40, 30), (-9, -9, 200, 200)], color=(255, 0, 0))
    red = drawn[..., 0] > 100
    assert red[17, 9:11].any()
    assert red[17, 39:41].any()
    assert red[4:6, 25].any()
    assert red[29:31, 25].any()
    assert not red[12:24, 14:36].any()
    assert not BLACK.any()
