"""Two processes train together: files are whole, and written once."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hgzoo.predict import load_model
from tests.people import write_lsp

ROOT = Path(__file__).parent.parent


def test_two_processes_train_as_one_run(tmp_path: Path) -> None:
    write_lsp(tmp_path, number=20)
    environment = {
        **os.environ,
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = [str(ROOT / "tests" / "distributed_training.py")]
    done = subprocess.run(
        [*launch, *script, str(tmp_path), str(tmp_path / "run"), "2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = [line for line in done.stdout.splitlines() if line.startswith("mean")]
    assert len(printed) == 2
    assert len(set(printed)) == 1
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[-1]["lr"] == 0.0  # the schedule counts steps of both together
    assert load_model(tmp_path / "run").config.num_keypoints == 14
    leftovers = [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]
    assert leftovers == []
