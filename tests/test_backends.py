"""hgzoo.optimize: the same last heatmaps from every engine."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import hgzoo
from hgzoo import backends, engine
from hgzoo.config import EvalConfig, Options
from hgzoo.data import Sample, sample_from_keypoints
from hgzoo.errors import ConfigError, InputError, MissingExtraError, UnknownNameError
from hgzoo.export import PixelsToHeatmaps, to_onnx
from hgzoo.inference import Network
from hgzoo.lean import LeanHourglass
from tests.conftest import images, shaken, small_model

ENGINES = [
    pytest.param(
        name, marks=pytest.mark.skipif(not find_spec(name), reason=f"{name} is not installed")
    )
    for name in ("onnxruntime", "openvino")
]


@pytest.fixture(scope="module")
def model() -> hgzoo.StackedHourglass:
    torch.manual_seed(0)
    return shaken(small_model(num_stacks=1, depth=1))


@pytest.fixture(scope="module")
def content(model: hgzoo.StackedHourglass) -> bytes:
    """The graph, made once: tracing takes seconds."""
    lean = LeanHourglass(model, exported=True)
    return to_onnx(PixelsToHeatmaps(lean), torch.zeros(2, 3, 32, 48), raw=True)


@pytest.fixture
def traced(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "to_onnx", lambda *_, **__: content)


@pytest.fixture(params=ENGINES)
def fast(
    request: pytest.FixtureRequest,
    model: hgzoo.StackedHourglass,
    traced: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Network:
    """Made for two threads, so that few pictures can be too few, even, or one too many."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    return hgzoo.optimize(model, backend=request.param)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_engines_give_the_last_heatmaps(
    fast: Network, model: hgzoo.StackedHourglass, batch: int
) -> None:
    pictures = images(batch)
    with torch.inference_mode():
        wanted = model(pictures)[-1]
    (found,) = fast(pictures)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def test_no_pictures_give_no_heatmaps(fast: Network, model: hgzoo.StackedHourglass) -> None:
    with torch.inference_mode():
        wanted = model(images(0))[-1]
    (found,) = fast(images(0))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(("threads", "alone", "together"), [(1, 5, 0), (2, 4, 1), (8, 0, 5)])
def test_pictures_are_shared_out_in_order(threads: int, alone: int, together: int) -> None:
    counts = dict.fromkeys(("alone", "together"), 0)

    def read(image: np.ndarray, by: str) -> np.ndarray:
        assert image.shape == (1, 2)
        counts[by] += 1
        return image * 10

    run = backends._spread(
        lambda pictures: [read(one, "alone") for one in pictures],
        lambda picture: read(picture, "together"),
        threads,
    )
    images = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_array_equal(run(images), images * 10)
    assert counts == {"alone": alone, "together": together}


@pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")
@pytest.mark.parametrize(
    ("precision", "able", "hint"),
    [
        ("float32", True, "f32"),
        ("bfloat16", False, "bf16"),
        ("int8", True, "bf16"),
        ("int8", False, "f32"),
    ],
)
def test_openvinos_number_format_is_chosen(
    precision: str, able: bool, hint: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What int8 leaves in floats is bfloat16 where the processor has it."""
    core, hints = backends._core(), []

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            known: list[str] = core.get_property(device, name)
            return ["FP32", "BF16"] if able else [one for one in known if one != "BF16"]

        def read_model(self, content: bytes) -> object:
            return core.read_model(content)

        def compile_model(self, graph: object, device: str, settings: dict[str, object]) -> object:
            hints.append(settings["INFERENCE_PRECISION_HINT"])
            plain = {**settings, "INFERENCE_PRECISION_HINT": "f32"}
            return core.compile_model(graph, device, plain)

    monkeypatch.setattr(backends, "_core", Core)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    backends._openvino(content, precision, (3, 32, 48))
    assert hints == [hint, hint]


@pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")
def test_one_thread_needs_one_compiled_graph(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, streams = backends._core(), []

    class Core:
        get_property = core.get_property
        read_model = core.read_model

        def compile_model(self, graph: object, device: str, settings: dict[str, object]) -> object:
            streams.append(settings["NUM_STREAMS"])
            return core.compile_model(graph, device, settings)

    monkeypatch.setattr(backends, "_core", Core)
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda number=threads: number)
        run = backends._openvino(content, "float32", (3, 32, 48))
        assert len(run(images(3).numpy())) == 3
    assert streams == [1, 2, 1]


def test_engines_answer_several_callers_at_once(
    fast: Network, model: hgzoo.StackedHourglass
) -> None:
    """As a web server's threads would be."""
    batches = images(12).split(3)
    with torch.inference_mode():
        wanted = [model(batch)[-1] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, right in zip(
                pool.map(lambda one: fast(one)[0], batches), wanted, strict=True
            ):
                torch.testing.assert_close(
                    found, right, rtol=1e-4, atol=1e-4 * float(right.abs().max())
                )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
@pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")
def test_engines_that_go_leave_the_process_able_to_take_a_signal(content: bytes) -> None:
    """Two OpenVINO cores that went in the order they came ended the process at the next Ctrl-C."""
    program = f"""
import signal
from hgzoo import backends
first, second = (backends._openvino({content!r}, "float32", (3, 32, 48)) for _ in range(2))
del first
del second
signal.signal(signal.SIGUSR1, lambda *_: print("taken"))
signal.raise_signal(signal.SIGUSR1)
"""
    run = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "taken\n"), run.stderr


def test_engines_take_one_size(fast: Network) -> None:
    with pytest.raises(InputError, match='optimized for 32x48, got 48x48; backend="torch"'):
        fast(torch.zeros(1, 3, 48, 48))


def test_a_predictor_takes_an_optimized_network(
    fast: Network, model: hgzoo.StackedHourglass, picture_file: Callable[..., Path]
) -> None:
    path = picture_file()
    (found,) = hgzoo.Predictor(fast, detector="whole")(path)
    (wanted,) = hgzoo.Predictor(model, detector="whole")(path)
    np.testing.assert_allclose(found.keypoints, wanted.keypoints, atol=0.05)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-3)
    with pytest.raises(ConfigError, match="runs on the CPU"):
        hgzoo.Predictor(fast, device="cuda")


def test_judging_takes_an_optimized_network(
    model: hgzoo.StackedHourglass, picture_file: Callable[..., Path]
) -> None:
    people = [person(picture_file(f"{number}.png"), number) for number in range(3)]
    lean = hgzoo.optimize(model, backend="torch")
    reports = [
        engine.evaluate(one, people, EvalConfig(), options=Options(progress=False))
        for one in (model, lean)
    ]
    np.testing.assert_allclose(reports[0].predicted, reports[1].predicted, atol=0.05)


def person(path: Path, seed: int) -> Sample:
    xy = np.random.default_rng(seed).uniform(5, 35, (14, 2))
    return replace(sample_from_keypoints(path, xy, np.ones(14, np.bool_)), reference=9.0)


def test_whole_numbers_are_near(model: hgzoo.StackedHourglass, traced: None) -> None:
    pytest.importorskip("onnxruntime")
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (32, 48, 3), dtype=np.uint8) for _ in range(8)]
    fast = hgzoo.optimize(model, precision="int8", backend="onnxruntime", calibration=crops)
    pictures = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) / 255.0 - 0.4
    with torch.inference_mode():
        wanted = model(pictures)[-1]
    deviation = (fast(pictures)[-1] - wanted).abs().max() / wanted.abs().max()
    assert 1e-5 < deviation < 0.2


def test_auto_takes_the_fastest_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"onnxruntime", "onnx", "onnxscript"}
    monkeypatch.setattr(backends, "find_spec", lambda name: name in there)
    monkeypatch.setattr(backends, "require_packages", lambda *_: None)
    assert backends._chosen("auto", "float32", on_cpu=True) == "onnxruntime"
    assert backends._chosen("auto", "bfloat16", on_cpu=True) == "torch"
    assert backends._chosen("auto", "float32", on_cpu=False) == "torch"
    there.add("openvino")
    assert backends._chosen("auto", "float32", on_cpu=True) == "openvino"


@pytest.mark.parametrize("absent", ["onnx", "onnxscript"])
def test_auto_leaves_out_an_engine_without_the_packages_that_write_its_graph(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name != absent)
    assert isinstance(hgzoo.optimize(small_model()), LeanHourglass)


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({"precision": "int8"}, "onnx"),
        ({"backend": "onnxruntime"}, "onnx"),
        ({"backend": "openvino"}, "openvino"),
    ],
)
def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it(
    options: dict[str, object], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=rf'needs onnx.*pip install "hgzoo\[{extra}\]"'):
        hgzoo.optimize(small_model(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float64"}, "precision must be float32, bfloat16, int8"),
        ({"backend": "tensorrt"}, "float32 runs with openvino or onnxruntime or torch here"),
        ({"backend": "torch", "precision": "int8"}, "int8 runs with openvino or onnxruntime here"),
        ({"backend": "onnxruntime", "precision": "bfloat16"}, "bfloat16 runs with"),
        ({"backend": "torch", "num_stacks": 9}, "num_stacks must be 1 to 2"),
        ({"backend": "onnxruntime", "precision": "int8"}, "int8 needs crops to calibrate on"),
    ],
)
def test_what_cannot_be_had_is_told(options: dict[str, object], message: str) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match=message):
        hgzoo.optimize(small_model(), **options)  # type: ignore[arg-type]


def test_a_misspelled_argument_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean precision"):
        hgzoo.optimize(small_model(), precison="int8")  # type: ignore[call-arg]
