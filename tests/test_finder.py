"""Where people are, by the network that was trained to tell."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import hgzoo
from hgzoo.config import InputSpec
from hgzoo.data import DATASETS
from hgzoo.data.boxes import SHIFT, ZOOM, as_boxes, body_box
from hgzoo.detectors import Finder, finder_for
from hgzoo.detectors.finder import Candidate, peaks, reach
from hgzoo.errors import WeightsError
from hgzoo.factory import begin_from
from hgzoo.geometry import crop_to_heatmap, overlap
from hgzoo.inference import NetworkReader
from hgzoo.pictures import load
from hgzoo.readers import Found
from hgzoo.skeletons import SKELETONS
from hgzoo.targets import gaussian
from tests.conftest import small_config
from tests.crowd import Crowd, picture_of
from tests.people import WALKING, write_lsp, write_lspet


class Draws:
    """Stands in for the finder's network: draws what it was trained to draw, for each gray."""

    input = InputSpec(size=(128, 128), box_padding=1.55)
    skeleton = SKELETONS["box"]

    def __init__(self, *, height: float = 0.9) -> None:
        self.height = height
        self.crops = 0

    def __call__(self, crops: np.ndarray, *, heatmaps: bool = False) -> Found:
        assert heatmaps
        self.crops += len(crops)
        drawn = np.stack([self._draw(crop[..., 0]) for crop in crops])
        return Found(np.zeros((len(crops), 5, 2)), np.zeros((len(crops), 5)), drawn[None])

    def without_flip(self) -> "Draws":
        return self

    def _draw(self, gray: np.ndarray) -> np.ndarray:
        drawn = np.zeros((5, 32, 32), np.float32)
        for number in range(5):
            same = (np.abs(gray - (250.0 - 40 * number)) < 5).astype(np.uint8)
            # The blurred borders of others have this gray, too, but are thin.
            thick = cv2.morphologyEx(same, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            rows, columns = np.nonzero(thick)
            if len(rows) > 12 and not self._cut(rows, columns):
                edges = (columns.min(), rows.min(), columns.max(), rows.max())
                drawn = np.maximum(drawn, self.height * self._points(*edges) * 0.9**number)
        return drawn

    def _cut(self, rows: np.ndarray, columns: np.ndarray) -> bool:
        return bool(min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == 127)

    def _points(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        xy = torch.tensor([[[x, y], [x0, y], [x, y0], [x1, y], [x, y1]]])
        return gaussian(crop_to_heatmap(xy, 4), (32, 32), 1.2)[0].numpy()


@pytest.fixture
def finder() -> Finder:
    return Finder(reader=Draws(), keypoints=Crowd(), threshold=0.25)


@pytest.mark.parametrize(
    "person", [(30, 40, 110, 190), (250, 130, 380, 280), (150, 110, 230, 200), (40, 30, 360, 270)]
)
def test_the_person_is_found_at_once(finder: Finder, person: tuple[int, ...]) -> None:
    (box,) = finder(picture_of(person))
    assert overlap(box, person) > 0.75


def test_a_candidates_box_is_the_persons(finder: Finder) -> None:
    person = (60, 50, 240, 270)
    candidates = finder.candidates(picture_of(person))
    assert len(candidates) == 1
    assert overlap(candidates[0].box, person) > 0.85
    assert 0.7 < candidates[0].score <= 0.9


@pytest.mark.parametrize("right", [(300, 110, 380, 240), (260, 60, 380, 280)])
def test_everybody_is_found_the_best_first(
    finder: Finder, right: tuple[int, int, int, int]
) -> None:
    """The brighter one, who is seen better, comes first, of whatever size the other is."""
    left = (20, 60, 100, 190)
    boxes = finder(picture_of(left, right))
    assert len(boxes) == 2
    for box, person in zip(boxes, (left, right), strict=True):
        assert overlap(box, person) > 0.75


def test_a_closer_look_mends_a_box() -> None:
    """A person takes a few pixels of the whole picture, and half of the window round them."""
    person = (205, 98, 231, 150)
    picture = picture_of(person)
    finder = Finder(reader=Draws(), keypoints=Crowd(), scales=(1.0,))
    (rough,) = finder._overview(picture)
    (mended,) = finder.candidates(picture)
    assert overlap(rough.box, person) < 0.8
    assert overlap(mended.box, person) > 0.85


@pytest.mark.parametrize(
    ("rounds", "still", "looks", "least"),
    [(0, 0.9, 0, 0.3), (1, 0.9, 1, 0.85), (9, 0.8, 2, 0.85), (9, 2.0, 9, 0.85)],
)
def test_a_box_moves_to_the_keypoints_until_it_stands_still(
    rounds: int, still: float, looks: int, least: float
) -> None:
    person, rough = (100, 90, 240, 270), (60.0, 60.0, 250.0, 300.0)
    finder = Finder(reader=Draws(), keypoints=(crowd := Crowd()), rounds=rounds, still=still)
    box = finder._settled(picture_of(person), rough)
    assert crowd.crops == looks
    assert overlap(box, person) > least
    assert (box == rough) == (rounds == 0)


def test_a_score_is_heights_times_overlap(finder: Finder) -> None:
    """Of the middle, of the keypoints, and of both boxes: it decides who comes back besides."""
    picture = picture_of((20, 60, 100, 190), person := (300, 110, 380, 240))
    second = finder.candidates(picture)[1]
    score = second.score * 0.6 * overlap(second.box, person)  # 0.6 is the crowd's own
    assert len(replace(finder, threshold=0.9 * score)(picture)) == 2
    assert len(replace(finder, threshold=1.1 * score)(picture)) == 1


def test_a_candidates_score_is_the_geometric_mean_of_both_looks() -> None:
    """A closer look that sees a height of 0.4 and more than half of it on a pixel."""
    picture = picture_of((60, 50, 240, 270))
    finder = Finder(reader=Draws(height=0.4), keypoints=Crowd())
    box = finder.candidates(picture)[0].box
    whole, quarter = finder._closer(picture, [Candidate(1.0, box), Candidate(0.25, box)])
    assert 0.2 < whole.score**2 <= 0.4
    assert quarter.score == pytest.approx(whole.score / 2)


def test_a_picture_without_people_gives_no_box(finder: Finder) -> None:
    assert finder(picture_of()) == []
    assert len(replace(finder, least=0.0)(picture_of())) == 1


def test_few_crops_pass_both_networks() -> None:
    finder = Finder(reader=(draws := Draws()), keypoints=(crowd := Crowd()))
    finder(picture_of((150, 110, 230, 200)))
    assert draws.crops == 1 + 2 * 2 + 4 * 3 + 1
    assert crowd.crops <= 1 + finder.rounds


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2), (20, 2000), (63, 40)])
@pytest.mark.parametrize("value", [0, 255])
def test_boxes_lie_in_pictures_of_any_size(
    finder: Finder, size: tuple[int, int], value: int
) -> None:
    height, width = size
    (box, *_) = replace(finder, least=0.0)(np.full((height, width, 3), value, np.uint8))
    assert 0 <= box[0] <= box[2] - 1 + 1e-9
    assert 0 <= box[1] <= box[3] - 1 + 1e-9
    assert box[2] <= width
    assert box[3] <= height


def test_peaks_are_as_high_as_their_neighbors() -> None:
    heatmap = np.zeros((5, 7), np.float32)
    heatmap[1, 2], heatmap[1, 3], heatmap[4, 6], heatmap[3, 0] = 0.8, 0.5, 0.6, 0.2
    assert peaks(heatmap, 0.3) == [(1, 2), (4, 6)]
    assert peaks(heatmap, 0.1) == [(1, 2), (3, 0), (4, 6)]
    assert peaks(np.ones((4, 6), np.float32), 0.1) == [(0, 0)]


def test_edges_are_found_where_both_sides_agree() -> None:
    """Alone, the nearer peak of one side would win: 0.8 at 2 against 0.5 + 0.6 at 5."""
    one, other = np.zeros(8, np.float32), np.zeros(9, np.float32)
    one[2], one[5], other[5] = 0.8, 0.5, 0.6
    assert reach(one, other) == pytest.approx(5.0)
    other[6] = 0.55
    assert reach(one, other) == pytest.approx(5 + 0.55 / 1.65)


def test_an_edge_beyond_the_window_leaves_the_other_to_decide() -> None:
    one, other = np.zeros(2, np.float32), np.zeros(9, np.float32)
    other[6] = 0.7
    assert reach(one, other) == pytest.approx(6.0)
    assert reach(one, one) == 1.0


def test_the_shipped_finder_finds_the_person_of_the_demo_picture() -> None:
    predictor = hgzoo.Predictor("hg2_tiny")
    assert isinstance(predictor.detector, Finder)
    picture = load(WALKING)
    (pose, *_) = predictor(picture)
    canvas = np.full((2 * picture.shape[0], 2 * picture.shape[1], 3), 90, np.uint8)
    canvas[40 : 40 + picture.shape[0], 70 : 70 + picture.shape[1]] = picture
    (moved, *_) = predictor(canvas)
    x0, y0, x1, y1 = pose.box
    assert overlap((x0 + 70, y0 + 40, x1 + 70, y1 + 40), moved.box) > 0.75


def test_the_finder_is_for_people_and_for_torch() -> None:
    for skeleton, kind in (
        ("lsp", "Finder"),
        ("people", "Finder"),
        ("flic", "Search"),
        ("box", "Search"),
    ):
        model = hgzoo.create_model("hg1_nano", num_keypoints=SKELETONS[skeleton].num_keypoints)
        model.output = replace(model.output, skeleton=SKELETONS[skeleton])
        assert type(hgzoo.Predictor(model).detector).__name__ == kind


def test_the_finder_runs_where_the_network_runs() -> None:
    reader = NetworkReader(hgzoo.create_model("hg1_nano", pretrained=True), flip=False)
    finder = finder_for(reader)
    assert finder.keypoints is reader
    assert isinstance(finder.reader, NetworkReader)
    assert finder.reader.model.device == reader.model.device


# What it is trained on.


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    write_lsp(folder, number=810)
    write_lspet(folder)
    return folder


def test_a_body_reaches_beyond_its_joints_but_not_above_the_head(root: Path) -> None:
    sample = DATASETS["lsp"].train(root)[0]
    visible = np.zeros(14, bool)
    visible[:3] = True
    keypoints = np.full((14, 2), -500.0)
    keypoints[:3] = [(2, 10), (8, 4), (5, 104)]
    box = body_box(replace(sample, keypoints=keypoints, visible=visible))
    assert box == pytest.approx((2.5 - 8, 4.5, 8.5 + 8, 104.5 + 8))


def test_people_of_few_joints_have_no_box(root: Path) -> None:
    people = DATASETS["lspet_boxes"].train(root)
    assert len(people) == 6
    assert all(one.visible.all() and one.keypoints.shape == (5, 2) for one in people)
    assert all(one.reference == pytest.approx(200 * one.scale) for one in people)


def test_windows_to_judge_by_are_off_but_hold_the_middle(root: Path) -> None:
    windows = DATASETS["lsp_boxes"].validation(root)
    again = DATASETS["lsp_boxes"].validation(root)
    people = as_boxes(DATASETS["lsp"].validation(root))
    assert len(windows) == len(people) == 10
    assert [one.center for one in windows] == [one.center for one in again]
    for window, person in zip(windows, people, strict=True):
        off = np.abs(np.array(window.center) - person.center) / (200 * person.scale)
        assert 0 < off.max() <= SHIFT
        assert abs(np.log2(window.scale / person.scale)) <= ZOOM
    assert len({round(one.scale, 6) for one in windows}) == 10


def test_a_training_may_begin_from_weights_for_other_keypoints() -> None:
    model = hgzoo.create_model("hg1_finder")
    before = model.heads[0].heatmaps.weight.clone()
    begin_from(model, "hg1_nano")
    nano = hgzoo.create_model("hg1_nano", pretrained=True)
    assert torch.equal(model.stem.conv.weight, nano.stem.conv.weight)
    assert model.heads[0].heatmaps.weight.shape == before.shape
    assert model.config.num_keypoints == 5
    with pytest.raises(WeightsError, match="does not fit the network"):
        begin_from(hgzoo.StackedHourglass(small_config()), "hg1_nano")


def test_a_training_may_begin_from_weights_of_fewer_stacks(tmp_path: Path) -> None:
    one, two = (hgzoo.StackedHourglass(small_config(num_stacks=n)) for n in (1, 2))
    before = {name: value.clone() for name, value in two.state_dict().items()}
    one.save_pretrained(tmp_path)
    begin_from(two, tmp_path)
    taken = one.state_dict()
    for name, value in two.state_dict().items():
        assert torch.equal(value, taken.get(name, before[name])), name
    two.save_pretrained(tmp_path / "two")
    with pytest.raises(WeightsError, match=r"unexpected: heads\.1"):
        begin_from(one, tmp_path / "two")
