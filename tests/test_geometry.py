"""Where a pixel is, in every frame."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hgzoo import geometry
from hgzoo.errors import InputError
from hgzoo.geometry import Crop, halfway

places = st.floats(-5000, 5000)
people = st.builds(
    Crop.from_center_scale,
    st.tuples(places, places),
    st.floats(0.05, 40),
    size=st.sampled_from([(256, 256), (128, 64), (64, 192)]),
    rotation=st.floats(-360, 360),
)


@given(people, st.lists(st.tuples(places, places), min_size=1, max_size=5))
def test_picture_to_crop_to_heatmap_and_back_is_the_identity(
    crop: Crop, points: list[tuple[float, float]]
) -> None:
    xy = np.array(points)
    heatmap = geometry.crop_to_heatmap(crop.to_crop(xy), 4)
    back = crop.to_picture(geometry.heatmap_to_crop(heatmap, 4))
    assert np.abs(back - xy).max() < 1e-4


def test_heatmap_pixel_0_is_the_middle_of_its_four_crop_pixels() -> None:
    xy = torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(geometry.heatmap_to_crop(xy, 4), torch.tensor([[1.5, 5.5]]))


def test_a_whole_picture_box_maps_corner_pixels_to_corner_pixels() -> None:
    crop = Crop.from_box((0, 0, 64, 32), size=(32, 64))
    np.testing.assert_allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_a_box_at_half_size_meets_between_pixels() -> None:
    crop = Crop.from_box((0, 0, 64, 64), size=(32, 32))
    np.testing.assert_allclose(crop.to_crop(np.array([[0.5, 2.5]])), [[0, 1]], atol=1e-12)


def test_a_tall_box_is_widened_and_not_stretched() -> None:
    crop = Crop.from_box((10, 0, 20, 40), size=(64, 64), padding=1.5)
    assert crop.extent == (60.0, 60.0)
    assert crop.center == (14.5, 19.5)


def test_center_and_scale_are_mpiis() -> None:
    crop = Crop.from_center_scale((100.0, 50.0), 1.5, size=(256, 128))
    assert crop.extent == (300.0, 150.0)
    np.testing.assert_allclose(crop.to_crop(np.array([100.0, 50.0])), [63.5, 127.5])


def test_rotation_turns_the_content_clockwise() -> None:
    crop = Crop((0.0, 0.0), (64, 64), (64, 64), rotation=90)
    right_of_center = np.array([10.0, 0.0])
    np.testing.assert_allclose(crop.to_crop(right_of_center), [31.5, 41.5], atol=1e-9)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 0, 1, 5), (0, 9, 5, 9), (float("nan"), 0, 1, 1)])
def test_a_box_without_area_is_refused(box: geometry.Box) -> None:
    with pytest.raises(InputError, match="x1 > x0"):
        Crop.from_box(box, size=(8, 8))


def test_a_crop_of_infinite_extent_is_refused() -> None:
    said = r"finite numbers and an area; got center \(inf, 2\), extent \(inf, inf\) and rotation 0$"
    with pytest.raises(InputError, match=said):
        Crop.from_box((0, 0, float("inf"), 5), size=(8, 8))


def dot(height: int, width: int, x: int, y: int, *, radius: int) -> np.ndarray:
    """A bright square round a pixel."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255
    return picture


def centroid(picture: np.ndarray) -> np.ndarray:
    weight = picture[..., 0].astype(float)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("rotation", [0.0, 33.0, -120.0])
@pytest.mark.parametrize(("extent", "radius"), [(40.0, 2), (150.0, 6), (700.0, 25), (1900.0, 60)])
def test_warping_puts_pixels_where_the_matrix_says(
    extent: float, radius: int, rotation: float
) -> None:
    """At every zoom, blocks averaged first or not, nothing shifts."""
    crop = Crop((700.3, 520.8), (extent, extent), (96, 96), rotation)
    picture = dot(1000, 1400, 710, 515, radius=radius)
    expected = crop.to_crop(np.array([710.0, 515.0]))
    np.testing.assert_allclose(centroid(crop.warp(picture)), expected, atol=0.1)


def test_shrinking_averages_a_fine_pattern() -> None:
    checkers = (np.indices((800, 800)).sum(0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(checkers[..., None], 3, axis=2)
    crop = Crop.from_box((0, 0, 800, 800), size=(64, 64)).warp(picture)
    assert np.abs(crop.astype(int) - 127).max() <= 2


def test_outside_of_the_picture_is_black() -> None:
    white = np.full((20, 20, 3), 255, np.uint8)
    crop = Crop.from_box((-20, 0, 20, 20), size=(40, 40)).warp(white)
    assert crop[12:28, :18].max() == 0
    assert crop[12:28, 22:].min() == 255


def test_a_crop_far_away_from_the_picture_is_black() -> None:
    white = np.full((20, 20, 3), 255, np.uint8)
    assert Crop.from_box((1e6, 1e6, 2e6, 2e6), size=(16, 16)).warp(white).max() == 0


def test_one_pixel_fills_a_crop() -> None:
    one = np.full((1, 1, 3), 200, np.uint8)
    assert Crop.from_box((0, 0, 1, 1), size=(16, 16)).warp(one)[8, 8].min() > 150


def test_flipping_twice_is_nothing() -> None:
    index = [1, 0, 2]
    xy = np.random.default_rng(0).uniform(0, 30, (4, 3, 2))
    twice = geometry.flip_keypoints(
        geometry.flip_keypoints(xy, width=31, flip_index=index), width=31, flip_index=index
    )
    np.testing.assert_allclose(twice, xy)
    heatmaps = torch.rand(2, 3, 5, 7)
    back = geometry.flip_heatmaps(
        geometry.flip_heatmaps(heatmaps, flip_index=index), flip_index=index
    )
    torch.testing.assert_close(back, heatmaps)


def test_a_mirror_moves_column_0_to_the_last_and_swaps_names() -> None:
    xy = np.array([[[0.0, 3.0], [9.0, 4.0]]])
    mirrored = geometry.flip_keypoints(xy, width=10, flip_index=[1, 0])
    np.testing.assert_allclose(mirrored, [[[0.0, 4.0], [9.0, 3.0]]])


def test_overlap_by_hand() -> None:
    assert geometry.overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert geometry.overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert geometry.overlap((0, 0, 10, 10), (20, 0, 30, 10)) == 0.0
    assert geometry.overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0.0


def test_corners_and_points_give_the_same_box() -> None:
    box = (3.0, -2.0, 10.5, 40.0)
    assert geometry.tight_box(geometry.corners(box)) == box
    assert geometry.corners((0, 0, 1, 1))[0].tolist() == [-0.5, -0.5]


def test_a_crop_shows_the_rectangle_of_its_box() -> None:
    crop = Crop.from_box((10, 20, 50, 100), size=(80, 40))
    assert crop.rectangle == (10, 20, 50, 100)


@pytest.mark.parametrize(
    ("points", "box"),
    [
        ([[4, 5], [20, 30]], (4.5, 5.5, 20.5, 30.5)),
        ([[-9, 5], [90, 80]], (0, 5.5, 40, 60)),
        ([[7, 7], [7, 7]], (7, 7, 8, 8)),
        ([[90, -90], [95, -95]], (39, 0, 40, 1)),
    ],
)
def test_a_box_round_points_stays_in_the_picture(
    points: list[list[float]], box: geometry.Box
) -> None:
    assert geometry.box_around(np.array(points, float), (60, 40)) == pytest.approx(box)


def test_halfway_is_the_mean_of_edges() -> None:
    assert halfway((0.0, 2.0, 10.0, 20.0), (2.0, 0.0, 20.0, 40.0)) == (1.0, 1.0, 15.0, 30.0)


def test_a_picture_that_shrinks_is_averaged_over_whole_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks and a bit would take many times as long, and happen at the picture's edge alone."""
    sizes, resize = [], cv2.resize

    def seen(picture: np.ndarray, size: list[int], **options: Any) -> np.ndarray:
        sizes.append((picture.shape[1] - 3 * size[0], picture.shape[0] - 3 * size[1]))
        return np.asarray(resize(picture, size, **options))

    monkeypatch.setattr(cv2, "resize", seen)
    picture = np.zeros((500, 500, 3), np.uint8)
    for corner in range(100, 104):
        box = (corner, corner + 1, corner + 200, corner + 201)
        Crop.from_box(box, size=(64, 64)).warp(picture)
    assert sizes == [(0, 0)] * 4
