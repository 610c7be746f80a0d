"""What the finder learns from: several people at once, people nobody annotated, backgrounds."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hgzoo.config import AugmentConfig, InputSpec
from hgzoo.data import DATASETS, Crops, Sample, usable
from hgzoo.data.boxes import (
    background_paths,
    box_between,
    box_points,
    for_choosing,
    read_boxes,
    trained_on,
)
from hgzoo.data.people import held_out
from hgzoo.data.transforms import FAR, collate
from hgzoo.errors import DataError
from hgzoo.geometry import crop_to_heatmap
from hgzoo.losses import LOSSES, stacked
from hgzoo.skeletons import SKELETONS
from hgzoo.targets import gaussian, with_company
from tests.test_people_data import person, write

BOX = SKELETONS["box"]
SPEC = InputSpec(size=(64, 64), heatmap_stride=4, box_padding=1.0)
LEFT, RIGHT = (2.0, 10.0, 22.0, 50.0), (34.0, 10.0, 54.0, 50.0)


def boxed(*boxes: tuple[float, float, float, float], path: Path) -> Sample:
    """The first of some people in an image of 64x64, who fills the crop with all of it."""
    points = [box_points(box) for box in boxes]
    return Sample(
        path=path,
        keypoints=points[0],
        visible=np.ones(5, bool),
        hidden=np.zeros(5, bool),
        center=(31.5, 31.5),
        scale=64 / 200,
        company=np.array(points[1:]),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def drawn(*samples: Sample, augment: AugmentConfig | None = None) -> tuple[torch.Tensor, ...]:
    """Targets, which of them show somebody, and what is known, as training has them."""
    crops = Crops(samples, spec=SPEC, skeleton=BOX, augment=augment)
    batch = collate([crops[0, n] for n in range(len(samples))])
    target, visible = with_company(
        gaussian,
        crop_to_heatmap(batch.keypoints, 4),
        batch.visible,
        crop_to_heatmap(batch.company, 4),
        SPEC.heatmap_size,
        1.2,
    )
    return target, visible, batch.known


def test_a_box_comes_back_from_its_points() -> None:
    assert box_between(box_points(LEFT)) == LEFT


def test_the_target_of_two_people_is_the_higher_of_both(path: Path) -> None:
    both = drawn(boxed(LEFT, RIGHT, path=path))[0]
    one, other = (drawn(boxed(box, path=path))[0] for box in (LEFT, RIGHT))
    torch.testing.assert_close(both, torch.maximum(one, other))
    again = drawn(boxed(RIGHT, LEFT, path=path))[0]
    torch.testing.assert_close(both, again)


def test_company_may_be_of_any_number_in_a_batch(path: Path) -> None:
    alone, together = boxed(LEFT, path=path), boxed(LEFT, RIGHT, path=path)
    target, _, _ = drawn(alone, together)
    torch.testing.assert_close(target[:1], drawn(alone)[0])
    torch.testing.assert_close(target[1:], drawn(together)[0])


def test_who_is_out_of_the_window_leaves_those_in_it(path: Path) -> None:
    """Shown alone, nothing would be left: each point but the right one's is out."""
    target, visible, _ = drawn(boxed((-300.0, 10.0, -260.0, 50.0), RIGHT, path=path))
    assert visible.all()
    torch.testing.assert_close(target, drawn(boxed(RIGHT, path=path))[0])


def test_an_edge_beyond_the_window_has_no_peak(path: Path) -> None:
    _, visible, _ = drawn(boxed((-20.0, 10.0, 22.0, 50.0), path=path))
    assert visible.tolist() == [[True, False, True, True, True]]
    beside, seen, _ = drawn(boxed(RIGHT, (-20.0, 10.0, 22.0, 50.0), path=path))
    assert seen.all()
    left = BOX.keypoints.index("left")
    torch.testing.assert_close(beside[:, left], drawn(boxed(RIGHT, path=path))[0][:, left])


def test_a_mirrored_window_mirrors_everybody(path: Path) -> None:
    mirror = AugmentConfig(
        scale_std=0.0, rotation_prob=0.0, shift_std=0.0, flip_prob=1.0, color=(1.0, 1.0)
    )
    sample = replace(boxed(LEFT, RIGHT, path=path), incomplete=True)
    target, _, known = drawn(sample, augment=mirror)
    before, _, known_before = drawn(sample)
    torch.testing.assert_close(target, before.flip(3)[:, BOX.flip_index])
    assert torch.equal(known, known_before.flip(2))


def test_a_backgrounds_target_is_empty_and_asked_for(path: Path) -> None:
    background = replace(
        boxed(LEFT, path=path),
        visible=np.zeros(5, bool),
        company=np.empty((0, 0, 2)),
        background=True,
    )
    assert usable([background]) == ([background], [])
    target, visible, known = drawn(background, augment=AugmentConfig(collage_prob=1.0))
    sure = torch.full_like(target, 3.0)
    loss = LOSSES["quality_focal"]
    total, number = stacked([sure], target, visible, loss=loss, unlabeled="zero", known=known)
    assert not visible.any()
    assert number == 5
    assert total > 1


def test_nothing_is_asked_where_nobody_is_annotated_and_somebody_may_be(path: Path) -> None:
    """An unlabeled neighbor whom the network sees costs nothing, and is not unlearned."""
    loss = LOSSES["quality_focal"]
    whole = boxed(LEFT, path=path)
    target, visible, known = drawn(replace(whole, incomplete=True))
    neighbor = drawn(boxed(RIGHT, path=path))[0]
    sees = (neighbor * 20 - 10).requires_grad_()
    totals = [
        stacked([sees], target, visible, loss=loss, unlabeled="zero", known=region)[0]
        for region in (known, drawn(whole)[2])
    ]
    (gradient,) = torch.autograd.grad(totals[0], sees)
    assert (gradient[..., 8:] == 0).all()  # the right half, where the neighbor is
    assert (gradient[..., :6] != 0).any()
    assert totals[1] > totals[0] + 1


def test_what_a_collage_lays_over_is_known(path: Path) -> None:
    sample = replace(boxed((0.0, 0.0, 20.0, 20.0), path=path), incomplete=True)
    still = AugmentConfig(scale_std=0.0, rotation_prob=0.0, shift_std=0.0, flip_prob=0.0)
    without = drawn(sample, augment=still)[2]
    collage = drawn(sample, augment=replace(still, collage_prob=1.0))[2]
    assert without.sum() < collage.sum()
    assert (collage | ~without).all()


def test_everybody_else_in_an_image_is_company(tmp_path: Path) -> None:
    one, other = person(), {**person(number=2), "bbox": [60.0, 10.0, 20.0, 30.0]}
    root = write(tmp_path, one, other, labels="MoveNet")
    first, second = DATASETS["people_boxes"].train(root)
    assert box_between(first.keypoints) == (0.0, 10.0, 51.0, 110.0)
    np.testing.assert_array_equal(first.company, second.keypoints[None])
    np.testing.assert_array_equal(second.company, first.keypoints[None])
    assert first.incomplete
    assert not DATASETS["people_boxes"].train(write(tmp_path, one))[0].incomplete


def test_held_out_people_are_for_choosing_or_for_figures_and_never_train(tmp_path: Path) -> None:
    parts = {True: 0, False: 0}
    for name in sorted(held_out())[:12]:
        root = write(tmp_path, person(), file_name=name)
        assert DATASETS["people_boxes"].train(root) == []
        chosen = DATASETS["people_boxes"].validation(root)
        assert bool(chosen) == for_choosing(name)
        assert len(read_boxes(root, lambda name: not for_choosing(name))) == 1 - len(chosen)
        parts[for_choosing(name)] += 1
    assert min(parts.values()) > 0


def test_every_fifth_background_never_trains(tmp_path: Path) -> None:
    (tmp_path / "background").mkdir()
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / "background" / f"{number:04d}.jpg"), np.zeros((60, 90, 3)))
    trained = {one.path for one in DATASETS["backgrounds"].train(tmp_path)}
    kept = {path for path in background_paths(tmp_path) if not trained_on(path)}
    assert sorted(path.stem for path in kept) == ["0005", "0010"]
    assert len(trained) == 10
    assert not trained & kept


def test_backgrounds_show_nobody_in_windows_of_two_sizes(tmp_path: Path) -> None:
    (tmp_path / "background").mkdir()
    cv2.imwrite(str(tmp_path / "background" / "0001.jpg"), np.zeros((60, 90, 3)))
    windows = DATASETS["backgrounds"].train(tmp_path)
    assert len(windows) == 5
    assert all(one.background and not one.visible.any() for one in windows)
    assert len({round(one.scale, 6) for one in windows}) == 2
    with pytest.raises(DataError, match="holds no pictures"):
        DATASETS["backgrounds"].train(tmp_path / "elsewhere")


def test_points_that_are_not_there_are_far(path: Path) -> None:
    crops = Crops([boxed(LEFT, path=path), boxed(LEFT, RIGHT, path=path)], spec=SPEC, skeleton=BOX)
    company = collate([crops[0, 0], crops[0, 1]]).company
    assert company.shape == (2, 1, 5, 2)
    assert (company[0] == FAR).all()
