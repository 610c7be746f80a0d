"""Files that run without hgzoo, and the reader that runs them without torch."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import hgzoo
from hgzoo import export as exporting
from hgzoo.cli import main
from hgzoo.errors import ConfigError, UnknownNameError, WeightsError
from hgzoo.export import check_crops, export
from hgzoo.inference import NetworkReader
from hgzoo.lean import LeanHourglass
from hgzoo.onnx_file import OnnxReader
from tests.conftest import shaken, small_model
from tests.people import WALKING

pytest.importorskip("onnxscript", reason="the onnx extra is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")


@pytest.fixture(scope="module")
def model() -> hgzoo.StackedHourglass:
    torch.manual_seed(0)
    return shaken(small_model(num_stacks=2, depth=1))


@pytest.fixture(scope="module")
def plain(model: hgzoo.StackedHourglass, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "model.onnx"
    export(model, path)
    return path


@pytest.fixture(scope="module")
def flipped(model: hgzoo.StackedHourglass, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flipped") / "model.onnx"
    export(model, path, flip=True, decoder="quarter_offset")
    return path


@pytest.fixture(scope="module")
def crops(model: hgzoo.StackedHourglass) -> np.ndarray:
    return check_crops(LeanHourglass(model))


def test_pixels_go_in_and_keypoints_come_out(
    plain: Path, model: hgzoo.StackedHourglass, crops: np.ndarray
) -> None:
    found = OnnxReader(plain)(crops, heatmaps=True)
    wanted = NetworkReader(model, flip=False)(crops, heatmaps=True)
    np.testing.assert_allclose(found.xy, wanted.xy, atol=0.05)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-3)
    assert found.heatmaps is not None
    assert wanted.heatmaps is not None
    np.testing.assert_allclose(found.heatmaps[0], wanted.heatmaps[-1], atol=1e-5)


def test_flip_and_decoder_can_be_inside(
    flipped: Path, model: hgzoo.StackedHourglass, crops: np.ndarray
) -> None:
    found = OnnxReader(flipped)(crops)
    wanted = NetworkReader(model, flip=True, decoder="quarter_offset")(crops)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-3)
    near = np.abs(found.xy - wanted.xy).max(-1) < 0.05
    assert near.mean() > 0.9  # the others are ties between two neighbors
    assert found.heatmaps is None


@pytest.mark.parametrize("number", [1, 3])
def test_any_number_of_crops_passes(plain: Path, crops: np.ndarray, number: int) -> None:
    reader = OnnxReader(plain)
    together = reader(np.concatenate([crops, crops]))
    np.testing.assert_allclose(reader(crops[:number]).xy, together.xy[:number], atol=1e-2)


def test_the_file_says_what_it_is(plain: Path, model: hgzoo.StackedHourglass) -> None:
    session = runtime.InferenceSession(str(plain), providers=["CPUExecutionProvider"])
    record = json.loads(session.get_modelmeta().custom_metadata_map["hgzoo"])
    assert record["input"]["mean"] == list(model.input.mean)
    assert record["output"]["skeleton"]["keypoints"][0] == "right_ankle"
    assert record["file"] == {
        "flip": False,
        "decoder": "taylor",
        "raw": False,
        "precision": "float32",
    }
    reader = OnnxReader(plain)
    assert reader.skeleton == model.output.skeleton
    assert reader.input == model.input
    assert reader.without_flip() is reader


def test_a_predictor_takes_the_file_as_it_was_exported(
    plain: Path, flipped: Path, model: hgzoo.StackedHourglass
) -> None:
    (found,) = hgzoo.Predictor(plain)(WALKING)
    (wanted,) = hgzoo.Predictor(model, flip=False, detector="search")(WALKING)
    np.testing.assert_allclose(found.keypoints, wanted.keypoints, atol=0.5)
    assert found.names == wanted.names
    assert hgzoo.Predictor(flipped, flip=True, decoder="quarter_offset")(WALKING)
    with pytest.raises(ConfigError, match="exported without flip averaging; export it with"):
        hgzoo.Predictor(plain, flip=True)
    with pytest.raises(ConfigError, match="exported with flip averaging; export it without"):
        hgzoo.Predictor(flipped, flip=False)
    with pytest.raises(ConfigError, match="holds the decoder 'taylor'; export it with --decoder"):
        hgzoo.Predictor(plain, decoder="argmax")
    with pytest.raises(ConfigError, match="runs on cpu, not on 'abacus'"):
        hgzoo.Predictor(plain, device="abacus")


def test_predicting_with_a_file_never_loads_torch(plain: Path, tmp_path: Path) -> None:
    code = (
        "import sys, hgzoo\n"
        "from hgzoo.cli import main\n"
        f"assert main(['predict', '--demo', '--model', {str(plain)!r}, '--quiet']) == 0\n"
        "assert not {'torch', 'timm', 'torchvision', 'onnx'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(hgzoo.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "predictions" / "demo.jpg.pose.png").is_file()


def test_half_weights_are_smaller_and_near(
    plain: Path, crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LARGE", 8)
    content = exporting.with_half_weights(plain.read_bytes())
    half = plain.with_name("half.onnx")
    half.write_bytes(content)
    found, wanted = (OnnxReader(path)(crops).scores for path in (half, plain))
    assert not np.array_equal(found, wanted)
    np.testing.assert_allclose(found, wanted, rtol=0.05)


def test_raw_is_the_bare_network(model: hgzoo.StackedHourglass, tmp_path: Path) -> None:
    path = tmp_path / "raw.onnx"
    report = export(model, path, raw=True, num_stacks=1)
    assert report.heatmaps < 1e-4
    assert np.isnan(report.keypoints)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 3, 32, 48)
    (found,) = session.run(["heatmaps"], {"images": images.numpy()})
    with torch.inference_mode():
        wanted = model(images)[0]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-4)
    with pytest.raises(ConfigError, match="bare heatmaps; export the network without --raw"):
        hgzoo.Predictor(path)


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # by torch 2.10
def test_pt2_gives_the_same(model: hgzoo.StackedHourglass, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    assert export(model, path).keypoints < 1e-3
    extra = {"hgzoo.json": ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra["hgzoo.json"])["file"]["decoder"] == "taylor"
    crops = check_crops(LeanHourglass(model))[:3]
    xy, _, _ = program.module()(torch.from_numpy(crops))
    np.testing.assert_allclose(xy, NetworkReader(model, flip=False)(crops).xy, atol=0.05)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("model.tflite", {}, "file.onnx or a file.pt2"),
        ("model.onnx", {"precision": "float64"}, "precision must be"),
        ("model.pt2", {"precision": "float16"}, "ONNX only"),
        ("model.onnx", {"precision": "int8"}, "needs crops to calibrate on"),
        (
            "model.onnx",
            {"precision": "int8", "calibration": [np.zeros((2, 2, 3))]},
            "must be uint8",
        ),
        ("model.onnx", {"raw": True, "flip": True}, "bare network"),
        ("model.onnx", {"decoder": "taylo"}, "did you mean taylor"),
        ("model.onnx", {"num_stacks": 5}, "num_stacks must be 1 to 2"),
    ],
)
def test_what_cannot_be_exported_is_told(
    model: hgzoo.StackedHourglass,
    tmp_path: Path,
    name: str,
    options: dict[str, object],
    message: str,
) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        export(model, tmp_path / name, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_something_else_is_not_kept(
    plain: Path, model: hgzoo.StackedHourglass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = exporting.with_half_weights(plain.read_bytes())
    monkeypatch.setattr(exporting, "to_onnx", lambda *_, **__: wrong)
    monkeypatch.setattr(exporting, "AGREED", {"float32": 0.0})
    with pytest.raises(WeightsError, match="was not written: its heatmaps differ"):
        export(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    with pytest.raises(WeightsError, match="cannot write"):
        export(model, tmp_path / "nowhere" / "a" / ("x" * 300 + ".onnx"))


@pytest.mark.parametrize("kind", ["missing", "empty", "noise", "cut", "foreign", "lying"])
def test_files_that_are_not_ours_are_refused(plain: Path, tmp_path: Path, kind: str) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    whole = plain.read_bytes()
    graph = onnx.load_from_string(whole)
    if kind == "foreign":
        del graph.metadata_props[:]
    if kind == "lying":
        for entry in graph.metadata_props:
            entry.value = '{"model": {"num_stacks": "many"}, "input": {}, "output": {}}'
    written = {
        "empty": b"",
        "noise": bytes(range(256)) * 9,
        "cut": whole[: len(whole) // 2],
        "foreign": graph.SerializeToString(),
        "lying": graph.SerializeToString(),
    }
    if kind in written:
        path.write_bytes(written[kind])
    with pytest.raises(WeightsError, match=r"model\.onnx"):
        hgzoo.Predictor(path)


def test_the_command_exports_int8_calibrated_on_pictures(
    plain: Path,
    model: hgzoo.StackedHourglass,
    tmp_path: Path,
    picture_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "to_onnx", lambda *_, **__: plain.read_bytes())
    model.save_pretrained(tmp_path / "mine")
    picture_file("one.png")
    out = tmp_path / "mine.onnx"
    words = ["export", str(tmp_path / "mine"), str(out), "--quiet"]
    assert main([*words, "--precision=int8"]) == 1
    assert "--calibrate PICTURE go together" in capsys.readouterr().err
    assert main([*words, "--precision=int8", "--calibrate", str(tmp_path / "*.png")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "differ from the network's by at most" in printed.err
    assert b"QuantizeLinear" in out.read_bytes()
    assert hgzoo.Predictor(out)(WALKING)
