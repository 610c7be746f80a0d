"""Records that survive: whole lines, found again, put in order."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hgzoo.errors import InputError, OutputError
from hgzoo.records import Index, Writer, arrange, of_pose, rounded, to_pose
from hgzoo.skeletons import SKELETONS, Pose, nameless

HEAD: dict[str, Any] = {"model": "m", "settings": {"flip": True}, "poses": []}


def write(path: Path, *names: str, **head: Any) -> Path:
    """Write records: "a" is a picture, "v3" the frame 3 of the video "v"."""
    with Writer(path) as writer:
        for name in names:
            frame = {"frame": int(name[1:])} if name[1:] else {}
            writer.write({"picture": name[:1], **frame, **HEAD, **head})
    return path


def names(path: Path) -> list[str]:
    records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [record["picture"] + str(record.get("frame", "")) for record in records]


def test_a_pose_comes_back_as_it_was_found() -> None:
    pose = rounded(
        Pose(
            keypoints=np.random.default_rng(0).normal(0, 100, (5, 2)),
            scores=np.random.default_rng(1).random(5),
            names=nameless(5).keypoints,
            box=(0.5, -1.0, 9.25, 8.0),
            skeleton=nameless(5),
        )
    )
    calm = rounded(Pose(**{**vars(pose), "keypoints": pose.keypoints + 1}))
    for record in (of_pose(pose, threshold=0.2), of_pose(calm, threshold=0.2, found=pose)):
        again = to_pose(json.loads(json.dumps(record)), nameless(5))
        np.testing.assert_array_equal(again.keypoints, pose.keypoints)
        np.testing.assert_array_equal(again.scores, pose.scores)
        assert (again.names, again.box) == (pose.names, pose.box)
    assert record["keypoints"][0]["x"] == calm.keypoints[0, 0]
    assert [k["drawn"] for k in record["keypoints"]] == (pose.scores >= 0.2).tolist()


@pytest.mark.parametrize("smoothed", [False, True])
def test_a_missing_keypoint_is_null_and_not_drawn(smoothed: bool) -> None:
    lsp = SKELETONS["lsp"]
    whole = Pose(
        keypoints=np.ones((14, 2)),
        scores=np.ones(14),
        names=lsp.keypoints,
        box=(0.0, 0.0, 9.0, 9.0),
        skeleton=lsp,
    )
    pose = rounded(whole.as_skeleton("coco"))
    record = of_pose(pose, threshold=0.0, found=pose if smoothed else None)
    line = json.dumps(record, allow_nan=False)
    nose, *_, ankle = json.loads(line)["keypoints"]
    assert (nose["name"], nose["x"], nose["y"], nose["score"]) == ("nose", None, None, 0.0)
    assert (nose["drawn"], ankle["drawn"]) == (False, True)
    again = to_pose(json.loads(line), pose.skeleton)
    np.testing.assert_array_equal(again.keypoints, pose.keypoints)
    np.testing.assert_array_equal(again.scores, pose.scores)


def test_each_line_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with Writer(tmp_path / "new" / "a.jsonl") as writer:
        writer.write({"picture": "a", **HEAD})
        assert names(tmp_path / "new" / "a.jsonl") == ["a"]


def test_a_torn_last_line_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", "b", "c")
    for size in range(path.stat().st_size):
        (tmp_path / "torn").write_bytes(path.read_bytes()[:size])
        whole = path.read_bytes()[:size].count(b"\n")
        assert list(Index([tmp_path / "torn"])) == ["a", "b", "c"][:whole]


def test_records_of_several_files_come_into_the_order_asked_for(tmp_path: Path) -> None:
    one = write(tmp_path / "1", "c", "v0", "v1", "a")
    two = write(tmp_path / "2", "v2", "b", "v3", "a")
    index = Index([one, two, tmp_path / "missing"])
    assert index.count("v") == 4
    arrange(one, index, [("a", 1), ("v", 3), ("b", 1), ("x", 0), ("c", 1)])
    assert names(one) == ["a", "v0", "v1", "v2", "b", "c"]


def test_lines_that_stand_there_twice_count_once(tmp_path: Path) -> None:
    index = Index([write(tmp_path / "1", "v0", "v1", "a", "v1", "v2", "v4", "a", "v3")])
    assert [record["frame"] for record in index.records("v")] == [0, 1, 2, 3]
    assert index.count("a") == 1


@pytest.mark.parametrize(
    "line", ["nothing", "[]", "3", '{"picture": "a"}', '{"poses": []}', "\xff"]
)
def test_other_files_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=r"line 1 of .* is no record"):
        Index([path])


def test_records_of_another_run_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "a", model="other")
    with pytest.raises(InputError, match='was written with model "other", not "m"'):
        Index([path], expected={"model": "m"})


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    with pytest.raises(OutputError, match="cannot write"):
        Writer(tmp_path / "file" / "a.jsonl")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of a file's size")
def test_a_full_disk_leaves_whole_lines_and_perhaps_a_torn_one(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            write(tmp_path / "a.jsonl", *(f"v{number}" for number in range(99)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Index([tmp_path / "a.jsonl"]).count("v") == 1000 // len(
        (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)[0]
    )
