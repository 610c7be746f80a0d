"""Where people are, when nobody says."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hgzoo.detectors import (
    DETECTORS,
    Search,
    check,
    distinct,
    make,
    torchvision_people,
    whole,
    windows,
)
from hgzoo.errors import MissingExtraError, UnknownNameError, WeightsError
from hgzoo.geometry import overlap, tight_box
from hgzoo.readers import Found
from hgzoo.skeletons import COCO_SIGMAS, SKELETONS, Pose, Skeleton
from tests.crowd import Crowd, picture_of


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
def search(crowd: Crowd) -> Search:
    return Search(reader=crowd)


@pytest.mark.parametrize(
    "person", [(30, 40, 90, 150), (300, 150, 380, 290), (180, 120, 220, 180), (10, 10, 390, 290)]
)
def test_the_window_comes_to_the_person(search: Search, person: tuple[int, ...]) -> None:
    boxes = search(picture_of(person))
    assert len(boxes) == 1
    assert overlap(boxes[0], person) > 0.75


def test_what_is_found_moves_with_the_person(search: Search) -> None:
    """Pasted elsewhere by a whole step of windows, everything moves along."""
    one = search(picture_of((40, 40, 80, 100), width=600, height=600))
    other = search(picture_of((280, 280, 320, 340), width=600, height=600))
    np.testing.assert_allclose(np.array(one) + 240, other, atol=1.0)


def test_a_picture_twice_as_large_has_boxes_twice_as_large(search: Search) -> None:
    picture = picture_of((40, 40, 100, 140))
    larger = picture.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(2 * np.array(search(picture)), search(larger), atol=6)


def test_two_people_apart_both_come_back(search: Search) -> None:
    left, right = (20, 60, 80, 170), (310, 120, 380, 260)
    boxes = search(picture_of(left, right))
    assert len(boxes) == 2
    for box, person in zip(sorted(boxes), (left, right), strict=True):
        assert overlap(box, person) > 0.75


def test_a_picture_without_people_gives_one_box(search: Search) -> None:
    (box,) = search(picture_of())
    assert 0 <= box[0] < box[2] <= 400
    assert 0 <= box[1] < box[3] <= 300


def test_a_single_keypoint_gives_the_whole_picture(search: Search, crowd: Crowd) -> None:
    crowd.skeleton = Skeleton(name="", keypoints=("a",))
    assert search(picture_of((30, 40, 90, 150))) == [(0, 0, 400, 300)]


def test_few_crops_pass_the_network(search: Search, crowd: Crowd) -> None:
    search(picture_of((180, 120, 220, 180)))
    assert 5 <= crowd.crops <= 10


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2), (20, 2000), (63, 40)])
@pytest.mark.parametrize("value", [0, 255])
def test_boxes_lie_in_pictures_of_any_size(
    search: Search, size: tuple[int, int], value: int
) -> None:
    height, width = size
    for x0, y0, x1, y1 in search(np.full((height, width, 3), value, np.uint8)):
        assert 0 <= x0 <= x1 - 1 + 1e-9
        assert 0 <= y0 <= y1 - 1 + 1e-9
        assert x1 <= width
        assert y1 <= height


def test_keypoints_far_outside_leave_a_box_inside(search: Search) -> None:
    class Lost(Crowd):
        def __call__(self, crops: np.ndarray, *, heatmaps: bool = False) -> Found:
            return Found(np.full((len(crops), 6, 2), -500.0), np.ones((len(crops), 6)))

    assert Search(reader=Lost())(picture_of()) == [(0.0, 0.0, 1.0, 1.0)]


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (30, 700), (50, 50)])
@pytest.mark.parametrize("crop", [(64, 64), (96, 64)])
def test_windows_of_each_scale_cover_the_picture(
    size: tuple[int, int], crop: tuple[int, int]
) -> None:
    for scale in (1.0, 0.6, 0.3):
        shown = windows(size, crop, scales=(scale,), step=0.7)
        covered = np.zeros(size, bool)
        for window in shown:
            x0, y0, x1, y1 = (round(edge) for edge in window.rectangle)
            covered[max(y0, 0) : y1, max(x0, 0) : x1] = True
        assert covered.all()
    assert len(windows(size, crop, scales=(1.0,), step=0.7)) == 1


def pose(keypoints: list[list[float]]) -> Pose:
    xy = np.array(keypoints)
    return Pose(
        keypoints=xy, scores=np.ones(2), names=("a", "b"), box=tight_box(xy), skeleton=SKELETON
    )


SKELETON = replace(SKELETONS["lsp"], keypoints=("a", "b"), flip_pairs=(), limbs=(), groups={})


def test_poses_of_one_person_are_merged_by_hand_worked_similarity() -> None:
    """Box 100x100; sigma 0.05 gives exp(-d²/200): 0.607 at 10 pixels, 0.135 at 20."""
    best, near = pose([[0, 0], [100, 100]]), pose([[10, 0], [100, 110]])
    far = pose([[20, 0], [100, 120]])
    sigmas = (0.05, 0.05)
    assert distinct([best, near, far], sigmas=sigmas, same=0.60) == [best, far]
    assert distinct([best, near], sigmas=sigmas, same=0.61) == [best, near]
    assert distinct([best, far], sigmas=sigmas, same=0.13) == [best]
    assert distinct([near, best], sigmas=sigmas, same=0.5) == [near]
    assert distinct([], sigmas=sigmas) == []


def test_a_pose_is_compared_with_every_one_that_is_kept() -> None:
    """The third is 30 pixels from the best, but 10 from the second."""
    best, second, third = (pose([[x, 0], [100, 100 + x]]) for x in (0, 20, 30))
    assert distinct([best, second, third], sigmas=(0.05, 0.05), same=0.5) == [best, second]


def test_missing_keypoints_do_not_count_when_poses_are_compared() -> None:
    """Hand-worked as above: the other keypoint alone gives 0.607, or nothing."""
    gone = [float("nan")] * 2
    best, near = pose([[0, 0], [100, 100]]), pose([[10, 0], [100, 110]])
    half = replace(near, keypoints=np.array([gone, [100, 110]]))
    other = replace(near, keypoints=np.array([[0, 0], gone]))
    sigmas = (0.05, 0.05)
    assert distinct([best, half], sigmas=sigmas, same=0.60) == [best]
    assert distinct([best, half], sigmas=sigmas, same=0.61) == [best, half]
    whole = replace(other, box=best.box)
    assert distinct([whole, half], sigmas=sigmas, same=0.01) == [whole, half]


def test_sigmas_are_cocos_for_cocos_keypoints() -> None:
    assert SKELETONS["coco"].sigmas == COCO_SIGMAS
    assert SKELETONS["people"].sigmas == (*COCO_SIGMAS, 0.05, 0.05)
    assert SKELETONS["lsp"].sigmas == (0.05,) * 14
    assert SKELETONS["mpii"].sigmas == (0.05,) * 16


def test_a_name_a_callable_or_a_clear_refusal(search: Search) -> None:
    assert make("whole", search.reader) is whole
    assert make(search, search.reader) is search
    assert make("search", search.reader) == Search(reader=search.reader)
    with pytest.raises(UnknownNameError, match="did you mean search"):
        make("serch", search.reader)
    assert set(DETECTORS) == {"finder", "search", "torchvision", "whole"}


def test_whole_takes_the_whole_picture() -> None:
    assert whole(picture_of(width=70, height=50)) == [(0, 0, 70, 50)]


@pytest.fixture
def faster_rcnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for torchvision's large network; return the file where its weights belong."""
    detection = pytest.importorskip("torchvision.models.detection")
    torch = pytest.importorskip("torch")

    class Finds(torch.nn.Module):
        def forward(self, images: list[Any]) -> list[dict[str, Any]]:
            height, width = images[0].shape[1:]
            boxes = [[1, 2, width, height], [3, 4, 5, 6], [7, 8, 7, 9], [10, 20, 30, 40]]
            keep = torch.tensor([0.9, 0.9, 0.9, 0.6]) > self.threshold
            found = {"boxes": torch.tensor(boxes).float(), "labels": torch.tensor([1, 2, 1, 1])}
            return [{name: values[keep] for name, values in found.items()}]

    def build(*, weights: Any, progress: bool, box_score_thresh: float, **options: Any) -> Finds:
        assert options == {"weights_backbone": None}
        network = Finds()
        network.threshold = box_score_thresh
        network.load_state_dict(weights.get_state_dict(progress=progress))
        return network

    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(detection, "fasterrcnn_mobilenet_v3_large_320_fpn", build)
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.DEFAULT.url
    file = tmp_path / "hub" / "checkpoints" / Path(url).name
    file.parent.mkdir(parents=True)
    return file


def test_torchvision_gives_the_boxes_of_people(search: Search, faster_rcnn: Path) -> None:
    __import__("torch").save({}, faster_rcnn)
    boxes = make("torchvision", search.reader)(picture_of(width=70, height=50))
    assert boxes == [(1, 2, 70, 50), (10, 20, 30, 40)]
    sure = torchvision_people(threshold=0.8)
    assert sure(picture_of(width=70, height=50)) == [(1, 2, 70, 50)]


def test_torchvision_without_its_weights_says_what_to_do(search: Search, faster_rcnn: Path) -> None:
    with pytest.raises(WeightsError, match=r"no network.*save https.*detector \"search\""):
        make("torchvision", search.reader)
    faster_rcnn.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot have"):
        make("torchvision", search.reader)


def test_without_torchvision_its_detector_says_so(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models", None)
    with pytest.raises(MissingExtraError, match="torchvision, which is not installed"):
        make("torchvision", search.reader)


def test_checking_a_detector_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(reader: Any) -> Any:
        raise AssertionError("nobody asked for it")

    monkeypatch.setitem(DETECTORS, "finder", never)
    check("finder")
    check(whole)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match="torchvision, which is not installed"):
        check("torchvision")
    with pytest.raises(UnknownNameError, match="did you mean search"):
        check("serch")
