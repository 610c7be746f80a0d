"""Scoring anybody's predictions: known answers, and files of every kind."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from hgzoo import scoring
from hgzoo.cli import main
from hgzoo.errors import DataError, UnknownNameError
from hgzoo.pictures import load
from hgzoo.scoring import BENCHMARKS
from hgzoo.skeletons import SKELETONS

MPII = BENCHMARKS["mpii"]
KNOWN = Path(__file__).parent.parent / "docs" / "results" / "mpii_example.known.json"
PCKH: dict[str, Any] = {"metric": "PCKh", "threshold": 0.5}


def write_h5(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three made-up people: head size 10, every keypoint at (100, 100), some missing or hidden."""
    part = np.full((3, 16, 2), 100.0)
    part[2, 5] = 0.0  # not annotated
    visible = np.ones((3, 16))
    visible[1, :4] = 0.0  # hidden, and counted
    return write_h5(tmp_path / "valid.h5", part=part, visible=visible, normalize=np.full(3, 10.0))


def shifted(**shifts: float) -> NDArray[np.float64]:
    """Predictions that are right but for one person, who is off by so many pixels."""
    predicted = np.full((3, 16, 2), 100.0)
    for person, shift in shifts.items():
        predicted[int(person[1:]), :, 0] += shift
    return predicted


@pytest.mark.parametrize(
    ("annotations", "file"),
    [("valid", "valid.h5"), ("detections", "detections_our_format.mat")],
)
def test_published_predictions_give_the_known_answers(
    assets: Path, annotations: str, file: str
) -> None:
    """Judged by the authors' h5, and by the file of MPII's own tools."""
    folder = assets / "data" / "mpii"
    known = json.loads(KNOWN.read_text(encoding="utf-8"))[annotations]
    truth = MPII.read(folder / file)
    predicted = scoring.read_predictions(
        folder / "preds_valid_example.h5", people=2958, num_keypoints=16
    )
    score = asdict(scoring.score(truth, predicted, **PCKH))
    for kind, figures in known.items():
        assert {name: round(score[kind][name], 2) for name in figures} == figures


def test_flic_is_read(assets: Path) -> None:
    truth = BENCHMARKS["flic"].read(assets / "data" / "flic" / "valid.h5")
    assert truth.keypoints.shape == (1016, 11, 2)
    score = scoring.score(truth, truth.keypoints, metric="PCK", threshold=0.2)
    assert score.groups == {"elbow": 100.0, "wrist": 100.0}
    assert score.metric == "PCK@0.2"


def test_flics_order_puts_the_left_wrist_below_the_left_shoulder(assets: Path) -> None:
    """In most frames people face the camera: their left is at the picture's right."""
    xy = BENCHMARKS["flic"].read(assets / "data" / "flic" / "valid.h5").keypoints
    names = SKELETONS["flic"].keypoints
    middle = dict(zip(names, np.median(xy - xy[:, [10]], axis=0), strict=True))  # round the nose
    assert middle["left_shoulder"][0] > 0 > middle["right_shoulder"][0]
    assert middle["left_wrist"][1] > middle["left_elbow"][1] > middle["left_shoulder"][1]
    assert middle["left_eye"][1] < 0


def test_a_figure_by_hand(truth: Path) -> None:
    """One person of three is off by more than half a head; one of its keypoints does not count."""
    score = scoring.score(MPII.read(truth), shifted(p2=5.01), **PCKH)
    assert score.means["16 pooled"] == pytest.approx(100 * 32 / 47)
    assert score.keypoints["left_ankle"] == 100.0
    assert score.keypoints["pelvis"] == pytest.approx(200 / 3)
    assert scoring.score(MPII.read(truth), shifted(p2=5.0), **PCKH).means["16 plain"] == 100.0


def test_hidden_keypoints_count_and_are_told_apart(truth: Path) -> None:
    score = scoring.score(MPII.read(truth), shifted(p1=50.0), **PCKH)
    assert score.visibility == {"seen": pytest.approx(100 * 31 / 43), "hidden": 0.0}
    assert score.means["16 pooled"] == pytest.approx(100 * 31 / 47)


def test_nobody_hidden_has_no_figure(truth: Path) -> None:
    read = MPII.read(truth)
    assert read.hidden is not None
    seen = replace(read, hidden=np.zeros_like(read.hidden))
    assert list(scoring.score(seen, shifted(p1=50.0), **PCKH).visibility) == ["seen"]


def test_the_stricter_threshold_and_the_area(truth: Path) -> None:
    score = scoring.score(MPII.read(truth), shifted(p0=2.0, p1=2.0, p2=2.0), **PCKH)
    assert score.strict["16 pooled, PCKh@0.1"] == 0.0
    assert score.area["16 pooled"] == pytest.approx(61.0)  # 0 up to 0.19, 100 from 0.20 to 0.50


@pytest.mark.parametrize("suffix", [".h5", ".mat", ".npz", ".npy", ".json"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("columns", [2, 3])
def test_predictions_of_every_kind_are_read(
    tmp_path: Path, suffix: str, axes: tuple[int, int, int], columns: int
) -> None:
    expected = np.random.default_rng(0).normal(size=(7, 16, columns))
    array = expected.transpose(axes)
    path = tmp_path / f"preds{suffix}"
    if suffix == ".h5":
        write_h5(path, preds=array)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"preds": array})
    elif suffix == ".npz":
        np.savez(path, index=np.arange(7), preds=array)
    elif suffix == ".npy":
        np.save(path, array)
    else:
        path.write_text(json.dumps(array.tolist()), encoding="utf-8")
    read = scoring.read_predictions(path, people=7, num_keypoints=16)
    np.testing.assert_array_equal(read, expected[..., :2])


def test_predictions_for_other_people_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 16, 2)))
    with pytest.raises(DataError, match=r"no predictions for 7 people.*preds \(5, 16, 2\)"):
        scoring.read_predictions(tmp_path / "a.npy", people=7, num_keypoints=16)


@pytest.mark.parametrize("suffix", [".h5", ".mat", ".npz", ".npy", ".json"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04", b"[" * 100_000])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError):
        scoring.read_predictions(path, people=7, num_keypoints=16)


def test_pickled_predictions_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        scoring.read_predictions(tmp_path / "a.npy", people=7, num_keypoints=16)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        scoring.read_arrays(tmp_path / "a.h55")
    with pytest.raises(DataError, match="missing"):
        scoring.read_arrays(tmp_path / "a.h5")


def test_annotations_without_what_they_need_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no part; it holds other"):
        MPII.read(write_h5(tmp_path / "a.h5", other=np.zeros(3)))
    with pytest.raises(DataError, match=r"mpii has \[N, 16, 2\]"):
        MPII.read(write_h5(tmp_path / "b.h5", part=np.zeros((3, 11, 2))))


def test_score_by_command(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", shifted(p2=5.01))
    files = ["--annotations", str(truth), "--predictions", str(tmp_path / "a.npy")]
    out = ["--json", str(tmp_path / "s.json"), "--plot", str(tmp_path / "s.png")]
    assert main(["score", "mpii", *files, *out]) == 0
    printed = capsys.readouterr().out
    assert "PCKh@0.5 of 3 people" in printed
    assert "16 pooled                 68.09" in printed
    figures = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert figures["means"]["16 pooled"] == pytest.approx(100 * 32 / 47)
    assert figures["curve"]["ankle"][-1] == pytest.approx((100 + 200 / 3) / 2)
    assert load(tmp_path / "s.png").std() > 10
    assert main(["score", "mpi", *files]) == 1
    assert "did you mean mpii" in capsys.readouterr().err
