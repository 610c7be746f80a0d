"""A picture in, keypoints in that picture's pixels out."""

import pickle
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_overloads

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import hgzoo
from hgzoo import checkpoints, factory
from hgzoo.detectors import DETECTORS, Detector, Finder, whole
from hgzoo.errors import (
    ConfigError,
    HgzooError,
    InputError,
    MissingExtraError,
    UnknownNameError,
    WeightsError,
)
from hgzoo.pictures import load
from hgzoo.predict import Predictor
from hgzoo.readers import Reader
from tests.conftest import small_model
from tests.people import WALKING


class FindsColors(nn.Module):
    """Stands in for the trained layers: heatmap 0 is red, 1 is green, at a quarter of the size."""

    def forward(self, images: Tensor) -> list[Tensor]:
        quarter = nn.functional.avg_pool2d(images, 4)
        red, green, _ = quarter.unbind(1)
        heatmaps = torch.stack([(red - green).relu(), (green - red).relu()], dim=1)
        return [heatmaps, heatmaps]


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A predictor whose network finds the reddest and the greenest spot."""
    model = hgzoo.create_model("hg1_nano", num_keypoints=2)
    object.__setattr__(model.output, "heatmaps", "heights")
    monkeypatch.setattr(model, "forward", FindsColors().forward)
    return Predictor(model, flip=False, decoder="soft_argmax")


def spots(*, width: int, height: int, red: tuple[int, int], green: tuple[int, int]) -> np.ndarray:
    picture = np.full((height, width, 3), 60, np.uint8)
    for (x, y), color in ((red, (255, 0, 0)), (green, (0, 255, 0))):
        picture[y - 6 : y + 7, x - 6 : x + 7] = color
    return picture


@pytest.mark.parametrize(
    "boxes", [None, [(0, 0, 300, 200)], [(20, 10, 290, 190)], [(-60, -80, 330, 260)]]
)
def test_keypoints_come_back_in_the_pictures_pixels(
    seer: Predictor, boxes: list[tuple[float, float, float, float]] | None
) -> None:
    picture = spots(width=300, height=200, red=(220, 60), green=(80, 150))
    (pose,) = seer(picture, boxes=boxes)
    np.testing.assert_allclose(pose.keypoints, [[220, 60], [80, 150]], atol=2.5)


def test_each_box_gives_its_own_person(seer: Predictor) -> None:
    left = spots(width=200, height=200, red=(50, 60), green=(120, 150))
    right = spots(width=200, height=200, red=(140, 30), green=(60, 100))
    poses = seer(np.hstack([left, right]), boxes=[(0, 0, 200, 200), (200, 0, 400, 200)])
    np.testing.assert_allclose(poses[0].keypoints, [[50, 60], [120, 150]], atol=3)
    np.testing.assert_allclose(poses[1].keypoints, [[340, 30], [260, 100]], atol=3)
    assert poses[1].box == (200, 0, 400, 200)


def test_exif_rotation_is_the_pictures_frame(seer: Predictor, tmp_path: Path) -> None:
    upright = Image.fromarray(spots(width=300, height=200, red=(220, 60), green=(80, 150)))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    (pose,) = seer(path, boxes=[(0, 0, 300, 200)])
    assert pose.box == (0, 0, 300, 200)
    np.testing.assert_allclose(pose.keypoints, [[220, 60], [80, 150]], atol=2.5)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    return Predictor(small_model(), batch_size=2, detector="whole")


def same(one: hgzoo.Pose, other: hgzoo.Pose) -> bool:
    return np.allclose(one.keypoints, other.keypoints, atol=0.05) and np.allclose(
        one.scores, other.scores, atol=1e-4
    )


def test_batches_over_crops_equal_one_by_one(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    boxes = [(0.0, 0.0, 30.0, 40.0), (10.0, 5.0, 50.0, 30.0), (20.0, 0.0, 60.0, 40.0)]
    path = picture_file()
    together = predictor(path, boxes=boxes)
    assert all(
        same(pose, predictor(path, boxes=[box])[0])
        for pose, box in zip(together, boxes, strict=True)
    )


def test_many_pictures_give_a_list_each(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    one, two = picture_file("one.png"), picture_file("two.png", width=30, height=70)
    lists = predictor([one, Image.fromarray(load(two))])
    assert [len(poses) for poses in lists] == [1, 1]
    assert same(lists[1][0], predictor(two)[0])
    boxed = predictor([one, two], boxes=[[(0, 0, 9, 9), (1, 1, 8, 8)], []])
    assert [len(poses) for poses in boxed] == [2, 0]


def test_no_boxes_and_no_pictures_give_empty_lists(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    assert predictor(picture_file(), boxes=[]) == []
    assert predictor([]) == []


def test_a_pose_says_what_it_is(predictor: Predictor, picture_file: Callable[..., Path]) -> None:
    (pose,) = predictor(picture_file(), heatmaps=True)
    assert pose.names == hgzoo.SKELETONS["lsp"].keypoints
    assert pose.keypoints.shape == (14, 2)
    assert pose.scores.shape == (14,)
    assert ((pose.scores >= 0) & (pose.scores <= 1)).all()
    assert pose.heatmaps is not None
    assert pose.heatmaps.shape == (2, 14, 8, 12)
    assert predictor(picture_file())[0].heatmaps is None


def test_the_flip_test_makes_a_mirrored_picture_a_mirrored_pose(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    """Only when both heatmaps are aligned and pairs are swapped."""
    picture = load(picture_file(width=48, height=32))
    index = hgzoo.SKELETONS["lsp"].flip_index
    box = [(0, 0, 48, 32)]
    (pose,), (mirrored,) = predictor(picture, boxes=box), predictor(picture[:, ::-1], boxes=box)
    np.testing.assert_allclose(mirrored.scores[index], pose.scores, atol=1e-4)
    expected = pose.keypoints.copy()
    expected[:, 0] = 47 - expected[:, 0]
    np.testing.assert_allclose(mirrored.keypoints[index], expected, atol=1e-2)


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (9, 9, 5, 20), (60, 0, 90, 9), (0, -9, 9, 0), (0, 0, float("nan"), 5)]
)
def test_a_bad_box_is_refused(
    predictor: Predictor, picture_file: Callable[..., Path], box: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match="box"):
        predictor(picture_file(), boxes=[box])  # type: ignore[list-item]


def test_a_flat_list_of_numbers_is_no_list_of_boxes(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match="a list of boxes"):
        predictor(picture_file(), boxes=(0, 0, 9, 9))  # type: ignore[arg-type]


def test_lists_of_boxes_must_match_pictures(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match="2 pictures need as many lists"):
        predictor([picture_file(), picture_file()], boxes=[[(0, 0, 9, 9)]])


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3000, 2)])
def test_odd_sizes_work(predictor: Predictor, size: tuple[int, int]) -> None:
    (pose,) = predictor(np.full((*size, 3), 128, np.uint8))
    assert np.isfinite(pose.keypoints).all()


def test_an_unknown_decoder_is_refused(picture_file: Callable[..., Path]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean argmax"):
        Predictor(small_model(), decoder="argmaxx")


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        Predictor(small_model(), batch_size=0)


def test_a_weights_file_and_a_run_folder_are_models(
    tmp_path: Path, picture_file: Callable[..., Path]
) -> None:
    model = small_model()
    checkpoints.write(model.checkpoint(), tmp_path / "best.safetensors")
    path = picture_file()
    expected = Predictor(model, detector="whole")(path)[0]
    assert same(Predictor(tmp_path / "best.safetensors", detector="whole")(path)[0], expected)
    assert same(Predictor(tmp_path, detector="whole")(path)[0], expected)


def test_the_view_is_what_the_network_sees(
    predictor: Predictor, picture_file: Callable[..., Path]
) -> None:
    assert predictor.view(picture_file()).shape == (32, 48, 3)
    assert predictor.view(picture_file(), (0, 0, 10, 10)).shape == (32, 48, 3)


def test_a_network_of_one_channel_takes_colored_pictures(
    picture_file: Callable[..., Path],
) -> None:
    model = hgzoo.create_model("hg1_nano", in_chans=1)
    (pose,) = Predictor(model, detector="whole")(picture_file())
    assert np.isfinite(pose.keypoints).all()


def test_a_broken_picture_raises_our_error(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(HgzooError):
        predictor(tmp_path / "a.jpg")


def test_the_demo_person_is_found() -> None:
    """Known answer: she walks to the left; places read off the picture by eye, in pixels."""
    from tests.people import WALKING

    (pose,) = Predictor("hg2_tiny")(WALKING, boxes=[(0, 0, 396, 528)])
    found = dict(zip(pose.names, pose.keypoints, strict=True))
    front, rear = sorted((found["left_ankle"], found["right_ankle"]), key=lambda xy: xy[0])
    for xy, eye in (
        (found["head_top"], (195, 92)),
        (found["neck"], (200, 140)),
        (front, (122, 458)),
        (rear, (288, 465)),
    ):
        assert np.hypot(*(xy - eye)) < 25
    assert (pose.scores > 0.2).sum() >= 12


def test_without_boxes_the_detector_is_asked(picture_file: Callable[..., Path]) -> None:
    asked = []

    def two(picture: np.ndarray) -> list[tuple[float, float, float, float]]:
        asked.append(picture.shape)
        return [(0, 0, 20, 30), (30, 5, 60, 40)]

    predictor = Predictor(small_model(), detector=two)
    poses = predictor([picture_file(), picture_file("b.png", width=70)])
    assert [[pose.box for pose in people] for people in poses] == [two(np.zeros((1, 1)))] * 2
    assert asked[:2] == [(40, 60, 3), (40, 70, 3)]
    assert predictor(picture_file(), boxes=[]) == []


def test_a_detector_that_finds_nobody_gives_no_pose(picture_file: Callable[..., Path]) -> None:
    assert Predictor(small_model(), detector=lambda picture: [])(picture_file()) == []


def test_boxes_of_one_person_give_one_pose(seer: Predictor) -> None:
    picture = spots(width=300, height=200, red=(220, 60), green=(80, 150))
    seer.detector = lambda picture: [(60, 40, 240, 170), (50, 40, 240, 180)]
    (pose,) = seer(picture)
    assert pose.box == (60, 40, 240, 170)
    assert len(seer(picture, boxes=seer.detector(picture))) == 2


def test_the_whole_picture_is_a_detector(seer: Predictor) -> None:
    picture = spots(width=300, height=200, red=(220, 60), green=(80, 150))
    whole = Predictor(seer.reader.model, flip=False, decoder="soft_argmax", detector="whole")(
        picture
    )
    assert [pose.box for pose in whole] == [(0, 0, 300, 200)]
    assert same(whole[0], seer(picture, boxes=[(0, 0, 300, 200)])[0])


def test_a_box_that_was_found_comes_back(seer: Predictor) -> None:
    picture = spots(width=600, height=400, red=(420, 260), green=(480, 350))
    (pose,) = seer(picture)
    x0, y0, x1, y1 = pose.box
    np.testing.assert_allclose(pose.keypoints, [[420, 260], [480, 350]], atol=2)
    assert 380 < x0 < 425 < 475 < x1 < 520
    assert 220 < y0 < 265 < 345 < y1 < 390


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean search"):
        Predictor(small_model(), detector="serch")


def test_a_package_that_the_detector_lacks_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match="torchvision, which is not installed"):
        Predictor(small_model(), detector="torchvision")


def test_the_finder_is_loaded_once_by_the_first_picture_without_boxes(
    monkeypatch: pytest.MonkeyPatch, picture_file: Callable[..., Path]
) -> None:
    loaded = []
    load_model = factory.load_model

    def spy(name: Any, **options: Any) -> hgzoo.StackedHourglass:
        loaded.append(name)
        return load_model(name, **options)

    monkeypatch.setattr(factory, "load_model", spy)
    predictor = Predictor(small_model())
    path = picture_file()
    predictor(path, boxes=[(0, 0, 30, 40)])
    predictor([path, path], boxes=[[], [(0, 0, 30, 40)]])
    predictor.view(path)
    assert loaded == []
    predictor(path)
    predictor(path)
    assert loaded == ["hg1_finder"]


def slow(made: list[Reader]) -> Callable[[Reader], Detector]:
    """Return a maker of detectors that takes its time, and notes each one it makes."""

    def make(reader: Reader) -> Detector:
        made.append(reader)
        time.sleep(0.05)
        return whole

    return make


def test_threads_that_come_at_once_share_one_detector(
    monkeypatch: pytest.MonkeyPatch, picture_file: Callable[..., Path]
) -> None:
    made: list[Reader] = []
    monkeypatch.setitem(DETECTORS, "finder", slow(made))
    predictor = Predictor(small_model())
    path, together = picture_file(), threading.Barrier(4)

    def ask(_: int) -> Any:
        together.wait()
        return predictor(path)

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(ask, range(4))
    assert len(made) == 1
    assert all(same(poses[0], first[0]) for poses in others)


def test_a_detector_that_cannot_be_loaded_is_tried_again_and_boxes_do_without(
    monkeypatch: pytest.MonkeyPatch, picture_file: Callable[..., Path]
) -> None:
    def fails(reader: Reader) -> Detector:
        raise WeightsError("not today")

    path = picture_file()
    with monkeypatch.context() as patch:
        patch.setitem(DETECTORS, "finder", fails)
        predictor = Predictor(small_model())
        with pytest.raises(WeightsError, match="not today"):
            predictor(path)
        assert len(predictor(path, boxes=[(0, 0, 30, 40)])) == 1
    assert isinstance(predictor.detector, Finder)


@pytest.mark.parametrize("asked", [False, True])
def test_a_predictor_can_be_pickled_before_and_after_its_detector_is_loaded(
    picture_file: Callable[..., Path], asked: bool
) -> None:
    predictor, path = Predictor("hg1_nano"), picture_file()
    if asked:
        predictor(path)
    again = pickle.loads(pickle.dumps(predictor))
    assert same(again(path)[0], predictor(path)[0])


def test_a_network_known_by_name_runs_lean_unless_its_stacks_are_asked_for() -> None:
    named = Predictor("hg2_tiny")
    given = Predictor(hgzoo.create_model("hg2_tiny", pretrained=True))
    crop = named.view(WALKING)[None]
    one, other = named.reader(crop), given.reader(crop)
    np.testing.assert_allclose(one.xy, other.xy, atol=0.01)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    stacks = named.reader(crop, heatmaps=True).heatmaps
    assert stacks is not None
    assert stacks.shape == (2, 1, 19, 32, 32)


def test_one_picture_and_a_list_have_types_of_their_own() -> None:
    """So that a caller needs no cast."""
    returned = [one.__annotations__["return"] for one in get_overloads(Predictor.__call__)]
    assert returned == ["list[Pose]", "list[list[Pose]]"]
