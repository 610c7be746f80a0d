"""A training that is killed loses little and ends as if nothing had happened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.people import write_lsp

ROOT = Path(__file__).parent.parent
KILLS = 10


def test_killed_ten_times_it_ends_with_the_same_figures_and_weights(tmp_path: Path) -> None:
    write_lsp(tmp_path, number=20)
    script = [str(ROOT / "tests" / "killed_training.py"), str(tmp_path), str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, *script, str(KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == KILLS
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    for name in ("metrics.jsonl", "best.safetensors", "release.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    assert len((parts / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert {path.name for path in parts.iterdir()} == {path.name for path in whole.iterdir()}
    places = [torch.load(run / "last.pt", weights_only=True)["place"] for run in (whole, parts)]
    assert json.dumps(places[0]) == json.dumps(places[1])
