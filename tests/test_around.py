"""What `hgzoo benchmark around` compares does the same thing by every method."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hgzoo.benchmark import OURS, Around, around, methods, networks
from hgzoo.cli import main
from hgzoo.cli.speed import around_table


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call a turn, of little."""
    for name in ("TURN", "PAUSE"):
        monkeypatch.setattr(networks, name, 0.0)
    monkeypatch.setattr(methods, "BATCH", 2)
    monkeypatch.setattr(methods, "PEOPLE", 2)


@pytest.mark.parametrize("method", methods.READERS)
def test_every_method_finds_the_same_keypoints(method: str) -> None:
    heatmaps = torch.randn(3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    heatmaps[0, 0, 0, 5] = heatmaps[1, 1, 7, 63] = 9.0  # on the border
    crops = [methods.square(100.0 * n, 30.0, 600.0) for n in range(3)]
    wanted = methods.READERS[OURS](heatmaps, crops)
    np.testing.assert_allclose(methods.READERS[method](heatmaps, crops), wanted, atol=1e-3)


@pytest.mark.parametrize("side", [300.0, 600.0])
@pytest.mark.parametrize("method", methods.CUTTERS)
def test_every_method_cuts_the_same_crop(method: str, side: float) -> None:
    """Smooth pictures, for how pixels are averaged differs; one box sticks out."""
    random = np.random.default_rng(0)
    smooth = cv2.resize(random.uniform(0, 255, (4, 6, 3)), (900, 700)).clip(0, 255)
    pictures = [smooth.astype(np.uint8)] * 2
    crops = [methods.square(120.0, 40.0, side), methods.square(-100.0, 300.0, side)]
    wanted = methods.CUTTERS[OURS](pictures, crops)
    found = methods.CUTTERS[method](pictures, crops)
    assert found.shape == wanted.shape == (2, 3, 256, 256)
    assert float((found - wanted).abs().mean()) < 0.01


def test_all_methods_take_turns(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first round and two that count: each method once, then each once more."""
    called: list[str] = []
    for table in (methods.CUTTERS, methods.READERS):
        for name in table:
            monkeypatch.setitem(table, name, lambda *inputs, name=name: called.append(name))
    monkeypatch.setattr(networks, "_seconds", once)
    rows = around(repeats=2, progress=False)
    cutters, readers = list(methods.CUTTERS), list(methods.READERS)
    assert called == [*cutters * 3, *readers * 3]
    assert [(row.step, row.method) for row in rows] == [
        *((methods.CROPS, method) for method in cutters),
        *((methods.DECODING, method) for method in readers),
    ]
    assert all(row.seconds == (1.0, 1.0) for row in rows)


def once(call: Callable[[], object], number: int) -> float:
    """Call once, and say that it took a second."""
    call()
    return 1.0


def test_the_table_of_made_up_figures() -> None:
    rows = [
        Around(step="crops", method=OURS, seconds=(0.1, 0.2, 0.3)),
        Around(step="crops", method="slow", seconds=(0.3, 0.4, 0.9)),
    ]
    assert around_table(rows).splitlines()[2:] == [
        f"| crops | {OURS} | 200.0 | 1.0 |",
        "| crops | slow | 400.0 | 3.0 |",
    ]


def test_the_command_prints_every_row(
    at_once: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "around.json"
    assert main(["benchmark", "around", "--repeats", "1", "--quiet", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"| {methods.DECODING} | {OURS} | " in out
    rows = json.loads(file.read_text(encoding="utf-8"))["around"]
    assert len(rows) == len(methods.CUTTERS) + len(methods.READERS)
