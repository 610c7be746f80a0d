"""`hgzoo predict` on folders and videos: resumed, interrupted, shared, and given broken things."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hgzoo import checkpoints
from hgzoo.cli import main
from hgzoo.cli.predict import _different_names
from hgzoo.detectors import DETECTORS, Detector
from hgzoo.errors import WeightsError
from hgzoo.readers import Reader
from hgzoo.skeletons import SKELETONS
from hgzoo.videos import Clip, Recorder, frames_in
from tests.conftest import small_model

ROOT = Path(__file__).parent.parent
BATCH = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.write(small_model().checkpoint(), path)
    return str(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in: records then name the same paths in every run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)


def make_clip(path: Path, *, count: int = 21) -> Path:
    with Recorder(path, fps=10) as recorder:
        for number in range(count):
            recorder.write(np.kron(noise(number)[::8, ::8], np.ones((8, 8, 1), np.uint8)))
    return path


def make_folder(path: Path, *, count: int = 20) -> Path:
    path.mkdir()
    for number in range(count):
        Image.fromarray(noise(number)).save(path / f"{number:02}.png")
    return path


@pytest.fixture
def predict(weights: str) -> Callable[..., int]:
    def run(*words: str) -> int:
        return main(["predict", *words, "--model", weights, "--quiet"])

    return run


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cut(path: Path, lines: int, *, torn: str = "") -> None:
    """Keep the first lines of a file, as if the run had been killed there."""
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
    path.write_text("".join(kept) + torn, encoding="utf-8")


def test_a_video_is_drawn_and_every_frame_has_its_record(
    predict: Callable[..., int], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(here / "clip.mp4")
    assert predict("clip.mp4", "--out", "out.mp4", "--json", "a.jsonl") == 0
    assert capsys.readouterr().out == "out.mp4\n"
    found = records(here / "a.jsonl")
    assert [record["frame"] for record in found] == list(range(21))
    assert [record["seconds"] for record in found] == [i / 10 for i in range(21)]
    assert {(r["picture"], r["width"], r["height"], r["drawn"]) for r in found} == {
        ("clip.mp4", 64, 40, "out.mp4")
    }
    assert frames_in(here / "out.mp4") == frames_in(clip) == 21
    assert sorted(p.name for p in here.iterdir()) == ["a.jsonl", "clip.mp4", "out.mp4"]


def test_the_same_boxes_hold_for_every_frame(predict: Callable[..., int], here: Path) -> None:
    make_clip(here / "clip.mp4")
    boxes = ["--boxes", "5,5,40,40", "--boxes=-5,0,20,30"]
    assert predict("clip.mp4", *boxes, "--no-draw", "--json", "a.jsonl", "--frames", "3") == 0
    found = [[pose["box"] for pose in record["poses"]] for record in records(here / "a.jsonl")]
    assert found == [[[5, 5, 40, 40], [-5, 0, 20, 30]]] * 3


def test_a_folder_of_all_sorts_is_done_in_order(predict: Callable[..., int], here: Path) -> None:
    folder = make_folder(here / "in", count=2)
    make_clip(folder / "01.mp4", count=3)
    Image.fromarray(noise(5)[..., 0]).save(folder / "gray.png")
    Image.fromarray(np.dstack([noise(6), noise(7)[..., 0]])).save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(8)).save(folder / "turned.jpg", exif=exif)
    assert predict("in", "in/0*.png", "--out", "out", "--json", "a.jsonl") == 0
    found = records(here / "a.jsonl")
    assert [Path(record["picture"]).name for record in found] == [
        *("00.png", "01.mp4", "01.mp4", "01.mp4", "01.png", "alpha.png", "gray.png", "turned.jpg")
    ]
    assert (found[-1]["width"], found[-1]["height"]) == (40, 60)
    assert {Path(r["drawn"]) for r in found} == {
        p.relative_to(here) for p in Path("out").resolve().iterdir()
    }


def test_another_skeletons_keypoints_are_written_and_drawn(
    predict: Callable[..., int], here: Path
) -> None:
    Image.fromarray(noise(1)).save("a.png")
    words = ["a.png", "--threshold", "0", "--heatmaps", "--detector", "whole"]
    assert predict(*words, "--json", "own.jsonl", "--out", "own") == 0
    assert predict(*words, "--json", "coco.jsonl", "--out", "coco", "--skeleton", "coco") == 0
    own, coco = (
        {point["name"]: point for point in records(here / name)[0]["poses"][0]["keypoints"]}
        for name in ("own.jsonl", "coco.jsonl")
    )
    assert tuple(coco) == SKELETONS["coco"].keypoints
    assert coco["nose"] == {"name": "nose", "x": None, "y": None, "score": 0.0, "drawn": False}
    assert coco["left_wrist"] == own["left_wrist"]
    assert records(here / "coco.jsonl")[0]["settings"]["skeleton"] == "coco"
    for name, same in (("a.png.pose.png", False), ("a.png.stacks0.png", True)):
        one, other = ((here / folder / name).read_bytes() for folder in ("own", "coco"))
        assert (one == other) == same


def test_a_detector_without_weights_is_told_before_anything_is_written(
    predict: Callable[..., int],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(reader: Reader) -> Detector:
        raise WeightsError("not today")

    monkeypatch.setitem(DETECTORS, "finder", fails)
    Image.fromarray(noise(1)).save("a.png")
    (here / "a.jsonl").write_text("kept", encoding="utf-8")
    words = ["a.png", "--json", "a.jsonl", "--no-draw"]
    assert predict(*words) == 1
    assert "not today" in capsys.readouterr().err
    assert (here / "a.jsonl").read_text(encoding="utf-8") == "kept"
    assert predict(*words, "--boxes", "0,0,30,40") == 0  # nobody is looked for


@pytest.mark.parametrize(
    ("skeleton", "words"), [("coc", "did you mean coco"), ("box", "no keypoint of skeleton 'box'")]
)
def test_a_skeleton_that_cannot_be_had_is_told_before_anything_is_written(
    predict: Callable[..., int],
    here: Path,
    capsys: pytest.CaptureFixture[str],
    skeleton: str,
    words: str,
) -> None:
    Image.fromarray(noise(1)).save("a.png")
    (here / "a.jsonl").write_text("kept", encoding="utf-8")
    assert predict("a.png", "--json", "a.jsonl", "--no-draw", "--skeleton", skeleton) == 1
    assert words in capsys.readouterr().err
    assert (here / "a.jsonl").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize(
    ("extra", "lines"),
    [
        ([], 0),
        ([], 13),
        ([], 21),
        (["--smooth"], 8),
        (["--smooth"], 20),
        (["--no-draw"], 13),
        (["--smooth", "--skeleton", "coco"], 13),
    ],
)
def test_a_resumed_video_is_the_same_bytes(
    predict: Callable[..., int], here: Path, extra: list[str], lines: int
) -> None:
    make_clip(here / "clip.mp4")
    words = ["clip.mp4", "--out", "out.mp4", "--json", "a.jsonl", *extra]
    assert predict(*words) == 0
    alone, drawn = (here / "a.jsonl").read_bytes(), Path("out.mp4")
    before = drawn.read_bytes() if drawn.exists() else b""
    cut(here / "a.jsonl", lines, torn='{"picture": "cl')
    drawn.unlink(missing_ok=True)
    assert predict(*words, "--resume") == 0
    assert (here / "a.jsonl").read_bytes() == alone
    assert (drawn.read_bytes() if drawn.exists() else b"") == before


@pytest.mark.parametrize("lines", [3, 11])
def test_a_resumed_folder_is_the_same_bytes(
    predict: Callable[..., int], here: Path, lines: int
) -> None:
    folder = make_folder(here / "in")
    (folder / "05.png").write_bytes(b"broken")
    words = ["in", "--out", "out", "--json", "a.jsonl"]
    assert predict(*words) == 1
    alone = (here / "a.jsonl").read_bytes()
    drawn = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    cut(here / "a.jsonl", lines, torn="{")
    for path in sorted(Path("out").iterdir())[lines + 1 :]:
        path.unlink()
    assert predict(*words, "--resume") == 1
    assert (here / "a.jsonl").read_bytes() == alone
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == drawn


def test_resuming_does_only_what_is_missing(
    predict: Callable[..., int], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hgzoo.predict import Predictor

    seen = []
    many = Predictor.many

    def counted(self: Predictor, pictures: Any, **options: Any) -> Any:
        seen.append(len(pictures))
        return many(self, pictures, **options)

    monkeypatch.setattr(Predictor, "many", counted)
    make_folder(here / "in", count=20)
    make_clip(here / "in" / "30.mp4", count=21)
    words = ["in", "--out", "out", "--json", "a.jsonl"]
    assert predict(*words) == 0
    assert sum(seen) == 41
    seen.clear()
    assert predict(*words, "--resume") == 0
    assert seen == []
    Path("out/02.png.pose.png").unlink()
    Image.fromarray(noise(99)).save("in/99.png")
    assert predict(*words, "--resume") == 0
    assert sum(seen) == BATCH + 1
    assert [r["picture"] for r in records(here / "a.jsonl")][-1] == "in/99.png"


def test_another_runs_records_are_not_gone_on_with(
    predict: Callable[..., int], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(here / "in", count=2)
    words = ["in", "--out", "out", "--json", "a.jsonl"]
    assert predict(*words) == 0
    before = (here / "a.jsonl").read_bytes()
    assert predict(*words, "--resume", "--no-flip") == 1
    assert 'settings {"flip": true' in capsys.readouterr().err
    assert main(["predict", *words, "--resume", "--model", "hg2_tiny"]) == 1
    assert "a.jsonl was written with model" in capsys.readouterr().err
    assert (here / "a.jsonl").read_bytes() == before
    (here / "a.jsonl").write_text("a letter to my aunt\n", encoding="utf-8")
    assert predict(*words, "--resume") == 1
    assert "is no record of hgzoo predict" in capsys.readouterr().err


def test_smoothing_keeps_what_the_network_found(predict: Callable[..., int], here: Path) -> None:
    make_clip(here / "clip.mp4")
    for name, extra in (("plain", []), ("calm", ["--smooth"])):
        words = ("clip.mp4", "--no-draw", "--detector", "whole", "--json", name)
        assert predict(*words, *extra) == 0
    plain, calm = records(here / "plain"), records(here / "calm")
    moves = [[], []]
    for rough, smooth in zip(plain, calm, strict=True):
        for one, other in zip(
            rough["poses"][0]["keypoints"], smooth["poses"][0]["keypoints"], strict=True
        ):
            assert other["found"] == [one["x"], one["y"]]
        for kept, record in zip(moves, (rough, smooth), strict=True):
            kept.append([point["x"] for point in record["poses"][0]["keypoints"]])
    shaking, calmed = (np.abs(np.diff(np.array(kept), axis=0)).mean() for kept in moves)
    assert calmed < 0.7 * shaking


def test_broken_videos_are_reported_and_the_rest_goes_on(
    predict: Callable[..., int], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(here / "in", count=2)
    (folder / "00.mp4").write_bytes(b"")
    (folder / "01.avi").write_bytes(b"nothing" * 50)
    (folder / "02.mkv").write_bytes((folder / "00.png").read_bytes()[:100])
    make_clip(folder / "99.mp4", count=3)
    assert predict("in", "--out", "out", "--json", "a.jsonl") == 1
    err = capsys.readouterr().err
    assert "00.mp4 is empty" in err
    assert "01.avi is not a video" in err
    assert "3 of 6 pictures and videos done" in err
    assert len(records(here / "a.jsonl")) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["empty"], "no pictures and no videos there"),
        (["clip.mp4", "a.png", "--out", "o.mp4"], "takes one video"),
        (["a.png", "--out", "o.mp4"], "takes one video"),
        (["clip.mp4", "--out", "o.avi"], "written as .mp4"),
        (["clip.mp4", "--out", "clip.mp4"], "would overwrite the video itself"),
        (["clip.mp4", "--out", "a.png/o.mp4"], "cannot write"),
        (["a.png", "--out", "a.png"], "cannot write"),
        (["a.png", "--json", "a.png/x"], "cannot write"),
        (["clip.mp4", "a.png", "--boxes", "1,2,3,4"], "one picture or one video"),
        (["clip.mp4", "--boxes", "900,2,990,4"], "lies outside the picture"),
        (["a.png", "--smooth"], "for videos"),
        (["a.png", "--frames", "3"], "needs a video"),
        (["clip.mp4", "--heatmaps"], "neither videos"),
        (["a.png", "--no-draw"], "add --json"),
        (["--camera", "97"], "camera 97 cannot be opened"),
        (["--camera", "0", "a.png"], "takes no pictures"),
        (["--camera", "0", "--resume"], "cannot bring back"),
    ],
)
def test_mistakes_end_with_code_1_and_the_fix(
    predict: Callable[..., int],
    here: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    (here / "empty").mkdir()
    make_clip(here / "clip.mp4", count=3)
    Image.fromarray(noise(0)).save(here / "a.png")
    assert predict(*words) == 1
    assert message in capsys.readouterr().err


def test_a_camera_is_drawn_until_ctrl_c(
    predict: Callable[..., int], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of the pipeline presses Ctrl-C, as a signal to the whole process."""

    class Camera:
        read_so_far = 0

        def get(self, _: int) -> float:
            return 0.0

        def read(self) -> tuple[bool, np.ndarray]:
            self.read_so_far += 1
            if self.read_so_far == 6:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            return True, noise(self.read_so_far)

        def release(self) -> None:
            pass

    monkeypatch.setattr(
        Clip, "of_camera", lambda number: Clip(Camera(), name=f"camera:{number}", live=True)
    )
    quick = ("--camera", "0", "--detector", "whole", "--json", "me.jsonl")
    assert predict(*quick, "--out", "me.mp4") == 0
    found = records(here / "me.jsonl")
    assert found
    assert [record["frame"] for record in found] == list(range(len(found)))
    assert frames_in(here / "me.mp4") == len(found)
    assert predict("--camera", "0", "--frames", "2", "--json", "me.jsonl") == 0
    assert len(records(here / "me.jsonl")) == 2
    assert frames_in(here / "predictions" / "camera0.pose.mp4") == 2


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_leaves_good_files_and_resuming_ends_as_if_nothing_had_happened(
    predict: Callable[..., int], here: Path, weights: str
) -> None:
    make_clip(here / "clip.mp4", count=200)
    words = ["clip.mp4", "--out", "out.mp4", "--json", "a.jsonl", "--smooth"]
    command = [sys.executable, "-m", "hgzoo", "predict", *words, "--model", weights, "--quiet"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    while not (here / "a.jsonl").exists() or (here / "a.jsonl").stat().st_size < 30_000:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "--resume goes on from there" in err
    done = len(records(here / "a.jsonl"))
    assert 0 < done < 200
    assert frames_in(here / "out.mp4") == done
    assert predict(*words, "--resume") == 0
    resumed = [Path(name).read_bytes() for name in ("a.jsonl", "out.mp4")]
    assert predict(*words) == 0
    assert [Path(name).read_bytes() for name in ("a.jsonl", "out.mp4")] == resumed


def test_two_processes_share_the_list_and_write_what_one_writes(
    predict: Callable[..., int], here: Path, weights: str
) -> None:
    folder = make_folder(here / "in", count=20)
    make_clip(folder / "10.mp4", count=11)
    (folder / "03.png").write_bytes(b"broken")
    words = ["in", "--out", "out", "--json", "a.jsonl"]
    assert predict(*words) == 1
    alone = (here / "a.jsonl").read_bytes()
    shutil.rmtree("out")
    cut(here / "a.jsonl", 0)
    (here / "a.jsonl.part1").write_bytes(b"".join(alone.splitlines(keepends=True)[7:12]) + b"{")
    (here / "a.jsonl.part1.done").write_text("0", encoding="ascii")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "hgzoo", "predict", *words, "--model", weights, "--resume"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "20 of 21 pictures and videos done" in done.stderr
    assert (here / "a.jsonl").read_bytes() == alone
    assert len(list(Path("out").iterdir())) == 20
    assert sorted(path.name for path in here.iterdir()) == ["a.jsonl", "in", "out"]


def test_clashing_names_get_numbers() -> None:
    names = list(_different_names([f"{i}/x.png" for i in range(20_000)]))
    assert names[:3] == ["x.png", "x-2.png", "x-3.png"]
    assert len(set(names)) == 20_000
    assert list(_different_names(["a/x.png", "x-2.png", "b/x.png"])) == [
        *("x.png", "x-2.png", "x-3.png")
    ]
