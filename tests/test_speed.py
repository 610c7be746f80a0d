"""What `hgzoo benchmark models` and `startup` count; how long things take is not tested."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hgzoo import backends, factory
from hgzoo.benchmark import (
    CEILINGS,
    IMPORT,
    PLAIN,
    Made,
    Speed,
    Start,
    Subject,
    Way,
    ceiling_reached,
    conditions,
    demo_crops,
    has_lsp_keypoints,
    live_bytes,
    make,
    multiplications,
    networks,
    random_model,
    start_seconds,
    startup,
    subject,
    subjects,
    training_crops,
    ways,
)
from hgzoo.cli import main
from hgzoo.cli.speed import (
    ceilings_table,
    describe,
    made_table,
    speed_table,
    start_table,
    subjects_table,
)
from hgzoo.config import InputSpec
from hgzoo.errors import ConfigError, HgzooError, MissingExtraError, UnknownNameError
from hgzoo.lean import LeanHourglass
from tests.conftest import small_model

FAST = Way("openvino", "bfloat16")
INT8 = Way("openvino", "int8")
PRODUCTS = {way.precision: way for way in CEILINGS}


OWN = """\
summary = "Two hourglasses of four features."
[model]
num_stacks = 2
num_feats = 4
depth = 2
stem_channels = [2, 4, 4, 4]
num_keypoints = 14
[input]
size = [32, 48]
[output]
skeleton = "lsp"
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """The path of a recipe without weights."""
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    return str(tmp_path / "own.toml")


def small_subject(**changes: Any) -> Subject:
    model = small_model(**changes).eval()
    return Subject(name="small", model=model, trained=False, parameters=1, macs=1)


def speed(way: Way, *seconds: float, batch: int = 1, operations: int = 10**9) -> Speed:
    return Speed(model="hg2", way=way, batch=batch, operations=operations, seconds=seconds)


def some_speeds() -> list[Speed]:
    """Made up: 2, 3 and 10 times faster; 40 % of the ceiling, but for one round of 20 %."""
    return [
        speed(PLAIN, 0.2, 0.3, 0.5),
        speed(FAST, 0.1, 0.1, 0.05),
        speed(INT8, 0.2, 0.3, 0.5),
        speed(PRODUCTS["float32"], 0.1, 0.1, 0.1, operations=10**10),
        speed(PRODUCTS["bfloat16"], 0.4, 0.4, 0.1, operations=10**10),
    ]


def test_multiplications_of_a_convolution_by_hand() -> None:
    """5 x 6 places, 7 outputs, each of 2 channels of 3 x 3."""
    with torch.device("meta"):
        conv = nn.Conv2d(2, 7, 3, padding=1)
        assert multiplications(conv, torch.empty(1, 2, 5, 6)) == 5 * 6 * 7 * 2 * 9


def test_live_bytes_by_hand() -> None:
    """Three tensors of 40 bytes live at one time; views and what is in place share theirs."""
    x = torch.zeros(10)

    def work() -> torch.Tensor:
        one = x + 1
        two = one * 2
        three = one + two
        del one, two
        return three.view(2, 5).relu_() + 1

    assert live_bytes(work, known=[x]) == 3 * 40
    assert live_bytes(lambda: x.view(2, 5).add_(1), known=[x]) == 0


def test_the_lean_form_needs_as_much_memory_at_any_depth() -> None:
    alive = []
    for stacks in (1, 3):
        model = small_model(num_stacks=stacks, num_feats=8, stem_channels=(4, 8, 8, 8))
        lean, images = LeanHourglass(model), torch.zeros(1, 3, 64, 64)
        known = [images, *lean.parameters(), *lean.buffers()]
        alive.append(live_bytes(partial(lean, images), known=known))
    assert alive[0] == alive[1]


def test_the_plain_networks_figures() -> None:
    one = subject("hg2_tiny")
    assert one.trained
    assert has_lsp_keypoints(one)
    assert one.parameters == factory.num_parameters(factory.model_info("hg2_tiny"))
    conv = one.model.stem.conv
    assert one.macs > 64 * 64 * conv.weight.numel()
    assert conv.weight.is_contiguous()


def test_without_weights_they_are_random_and_batch_norms_do_something(own: str) -> None:
    one, other = subject(own), random_model(factory.model_info(own))
    assert not one.trained
    assert not has_lsp_keypoints(one)
    norm, same = one.model.stem.bn, other.stem.bn
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert getattr(norm, name).std() > 0.01, name
        assert torch.equal(getattr(norm, name), getattr(same, name)), name
    assert torch.equal(one.model.stem.conv.weight, other.stem.conv.weight)


@pytest.fixture(scope="module")
def made() -> tuple[dict[Way, Any], list[Made]]:
    """Every way that is installed, of a small network; int8 would take seconds more."""
    torch.manual_seed(0)
    asked, _ = ways(precisions=["float32"])
    asked = [*asked, Way("torch", "bfloat16")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "to_onnx", once(backends.to_onnx))
        return make(small_subject(), asked, progress=False)


def once(to_onnx: Any) -> Any:
    """Export for the first engine alone: the file is the same for all, and takes seconds."""
    written: list[bytes] = []

    def written_once(*arguments: Any, **options: Any) -> bytes:
        if not written:
            written.append(to_onnx(*arguments, **options))
        return written[0]

    return written_once


def test_every_backend_gives_the_plain_heatmaps(made: tuple[dict[Way, Any], list[Made]]) -> None:
    for row in made[1]:
        assert row.deviation < (0.05 if row.way.precision == "bfloat16" else 1e-5), row.way
        assert (row.live is None) == (row.way.backend in ("onnxruntime", "openvino"))
    assert made[1][0].way == PLAIN
    assert made[1][0].deviation == 0.0


def test_networks_and_ceilings_take_turns(
    made: tuple[dict[Way, Any], list[Made]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first round and two that count: each once, then each once more."""
    called: list[Way] = []

    def listening(way: Way) -> Any:
        def call(images: torch.Tensor) -> list[torch.Tensor]:
            called.append(way)
            assert images.shape == (3, 3, 32, 48)
            return [images]

        return call

    monkeypatch.setattr(networks, "TURN", 0.0)
    monkeypatch.setattr(networks, "PAUSE", 0.0)
    monkeypatch.setattr(networks, "CEILINGS", {})
    given = {way: listening(way) for way in made[0]}
    rows = networks.speeds(small_subject(), given, batch=3, repeats=2, progress=False)
    assert called == [*given] * 3
    assert [row.way for row in rows] == list(given)
    assert all(len(row.seconds) == 2 and row.operations == 6 for row in rows)


def test_the_part_of_the_ceiling_is_the_median_over_the_rounds() -> None:
    """10^9 in 0.1 s against 10^10 in 0.4 s is 40 %; the last round has 20 %."""
    rows = {row.way: row for row in some_speeds()}
    assert ceiling_reached(rows[FAST], rows[PRODUCTS["bfloat16"]]) == pytest.approx(0.4)


def test_the_tables_of_made_up_figures() -> None:
    lines = speed_table(some_speeds()).splitlines()
    assert lines[2:] == [
        "| hg2 | 1 | plain, float32 | 300.0 | 3.33 | 1.00 | 3% |",
        "| hg2 | 1 | openvino, bfloat16 | 100.0 | 10.00 | 3.00 | 40% |",
        "| hg2 | 1 | openvino, int8 | 300.0 | 3.33 | 1.00 | – |",  # noqa: RUF001
    ]
    lines = ceilings_table(some_speeds()).splitlines()
    assert lines[2:] == ["| hg2 | 1 | float32 | 100 |", "| hg2 | 1 | bfloat16 | 25 |"]
    rows = [
        Made(model="hg2", way=PLAIN, seconds=0.0, deviation=0.0, live=2**21, pck=79.32),
        Made(model="hg2", way=FAST, seconds=7.25, deviation=0.00812, pck=79.43),
    ]
    assert made_table(rows).splitlines()[2:] == [
        "| hg2 | plain, float32 | 0.0 | 0 | 2.0 | 79.32 | 0.00 |",
        "| hg2 | openvino, bfloat16 | 7.2 | 0.008 | – | 79.43 | -0.11 |",  # noqa: RUF001
    ]
    assert subjects_table([describe(small_subject())]).splitlines()[2:] == [
        "| small | random weights | 1 | 0.00 |"
    ]


def test_starts_are_held_against_the_import_of_torch() -> None:
    starts = [
        Start(command=IMPORT, seconds=(1.0, 2.0, 4.0)),
        Start(command="fast", seconds=(0.5, 0.5, 2.0)),
    ]
    assert start_table(starts).splitlines()[2:] == [
        f"| {IMPORT} | 2.00 | 1.00 |",
        "| fast | 0.50 | 0.50 |",
    ]


def test_processes_start_in_turns_and_the_first_round_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {
        name: [sys.executable, "-S", "-c", f"open({str(log)!r}, 'a').write({name!r})"]
        for name in ("a", "b")
    }
    starts = start_seconds(commands, repeats=1, progress=False)
    assert log.read_text() == "abab"
    assert [(start.command, len(start.seconds)) for start in starts] == [("a", 1), ("b", 1)]
    with pytest.raises(ConfigError, match=r"^repeats must be at least 1, got 0$"):
        start_seconds(commands, repeats=0)
    with pytest.raises(HgzooError, match="no such thing"):
        start_seconds({"bad": [sys.executable, "-S", "-c", "exit('no such thing')"]}, repeats=1)


def test_the_start_command_prints_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [sys.executable, "-S", "-c", ""]
    monkeypatch.setattr(
        "hgzoo.benchmark.start_commands", lambda model, folder: {IMPORT: words, model: words}
    )
    file = tmp_path / "start.json"
    command = ["benchmark", "startup", "--repeats", "2", "--quiet", "--json", str(file)]
    assert main(command) == 0
    assert "| hg2_tiny | " in capsys.readouterr().out
    table = json.loads(file.read_text(encoding="utf-8"))
    assert [len(start["seconds"]) for start in table["starts"]] == [2, 2]


def test_what_is_started_needs_no_export_without_onnx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    commands = startup.start_commands("hg2_tiny", tmp_path)
    assert [*commands] == [IMPORT, "hgzoo predict --demo --model hg2_tiny"]


def test_weights_that_would_be_fetched_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects.factory, "load_model", lambda name: small_model())
    narrow = factory.model_info("hg1_nano")
    elsewhere = {"mpii": replace(narrow.weights[narrow.default_weights], file="", hub_id="a/b")}
    known = {"here": narrow, "there": replace(narrow, weights=elsewhere, default_weights="mpii")}
    monkeypatch.setattr(subjects.recipes, "names", lambda: list(known))
    monkeypatch.setattr(subjects.factory, "model_info", known.__getitem__)
    assert subject("here").trained
    assert not subject("there").trained


def test_the_models_command_prints_every_row(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plot = tmp_path / "speed.json", tmp_path / "speed.png"
    words = ["--backend", "torch", "--batch", "1,2", "--repeats", "1", "--quiet"]
    files = ["--json", str(file), "--plot", str(plot)]
    assert main(["benchmark", "models", own, *words, *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"threads {torch.get_num_threads()}, torch {torch.__version__}, ")
    for batch in (1, 2):
        for way in ("plain, float32", "torch, float32", "torch, bfloat16"):
            assert f"| {own} | {batch} | {way} | " in out
    table = json.loads(file.read_text(encoding="utf-8"))
    assert table["models"][0]["weights"] == "random weights"
    assert [len(row["seconds"]) for row in table["speeds"]] == [1] * 2 * (3 + len(CEILINGS))
    assert table["networks"][1]["way"] == {"backend": "torch", "precision": "float32"}
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_conditions_tell_threads_versions_and_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a made-up processor, the flags that tell how fast it multiplies."""
    (tmp_path / "cpuinfo").write_text("flags\t: fpu avx2 avx512f mmx\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[conditions.__module__], "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    found = conditions()
    assert found["threads"] == 7
    assert found["torch"] == torch.__version__
    assert found["processor"] == "avx2 avx512f"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("hg1_nano --backend pytorch", "unknown backend 'pytorch'; did you mean torch"),
        ("hg1_nano --precision int4", "unknown precision 'int4'; did you mean int8"),
        ("hg1_nano --backend torch --precision int8", "torch cannot do int8"),
        ("hg1_nano --data nowhere", "nowhere/lsp/joints.mat is missing"),
        ("hg1_nanno", "hg1_nano"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(
    words: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*arguments: Any, **options: Any) -> None:
        raise AssertionError("something was measured")

    monkeypatch.setattr("hgzoo.benchmark.make", never)
    assert main(["benchmark", "models", *words.split(), "--quiet"]) == 1
    assert reason in capsys.readouterr().err


def test_backends_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "openvino" else True)
    found, missing = ways()
    assert missing == {"openvino": "openvino"}
    assert {way.backend for way in found} == {"plain", "torch", "onnxruntime"}
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"hgzoo\[openvino\]"):
        ways(["openvino"])


def test_what_no_backend_can_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="onnxruntime cannot do bfloat16"):
        ways(["onnxruntime"], ["bfloat16"])
    with pytest.raises(UnknownNameError):
        ways(["cuda"])


def test_the_demo_crops_differ() -> None:
    crops = demo_crops(InputSpec(size=(32, 24)))
    assert {crop.shape for crop in crops} == {(32, 24, 3)}
    assert len({crop.tobytes() for crop in crops}) == len(crops) == 7


def test_training_crops_are_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "load", lambda path: np.full((2, 2, 3), path, np.uint8))
    monkeypatch.setattr(subjects, "crop_of", lambda person, spec: Whole())
    monkeypatch.setattr(subjects, "CALIBRATION", 3)
    people: list[Any] = [Person(path) for path in range(11)]
    crops = training_crops(people, InputSpec())
    assert [int(crop[0, 0, 0]) for crop in crops] == [0, 5, 10]


class Person:
    def __init__(self, path: int) -> None:
        self.path = path


class Whole:
    def warp(self, picture: np.ndarray) -> np.ndarray:
        return picture
