"""Two processes train together: the same figures as one, and files that are written once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hgzoo.factory import load_model
from tests import distributed_training
from tests.people import write_lsp
from tests.training import network

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of one recipe: "one" by this process, "two" by two others."""
    folder = tmp_path_factory.mktemp("runs")
    write_lsp(folder, number=20, noise=40.0)
    distributed_training.main(folder, folder / "one")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = [str(ROOT / "tests" / "distributed_training.py")]
    done = subprocess.run(
        [*launch, *script, str(folder), str(folder / "two")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "printed").write_text(done.stdout, encoding="utf-8")
    return folder


def records(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_two_processes_have_the_figures_of_one(runs: Path) -> None:
    one, two = records(runs / "one"), records(runs / "two")
    assert [record["epoch"] for record in two] == [1, 2, 3]
    for alone, together in zip(one, two, strict=True):
        assert alone.keys() == together.keys()
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)
        np.testing.assert_allclose(list(together.values()), list(alone.values()), atol=1e-3)


def test_two_processes_move_the_weights_as_one_does(runs: Path) -> None:
    begun = dict(network(distributed_training.SMALL).named_parameters())
    states = [torch.load(runs / name / "last.pt", weights_only=True) for name in ("one", "two")]
    one, two = (
        torch.cat([(state["model"][key] - begun[key]).flatten() for key in begun])
        for state in states
    )
    assert one.norm() > 0
    assert (two - one).norm() < 0.2 * one.norm()


def test_the_shared_batch_norm_is_torchs_where_nobody_shares() -> None:
    distributed_training.check_batch_norm()


def test_every_process_learns_the_same_result(runs: Path) -> None:
    printed = (runs / "printed").read_text(encoding="utf-8").splitlines()
    lines = dict(line.split(": ") for line in printed if line.startswith("process"))
    assert sorted(lines) == ["process 0 of 2", "process 1 of 2"]
    assert len(set(lines.values())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="threads are named in Linux's /proc")
@pytest.mark.skipif(torch.__version__.startswith("2.10."), reason="it leaves them unnamed")
def test_nothing_is_left_of_the_group_when_processes_have_parted(runs: Path) -> None:
    """Threads that were left could abort a process that had done all its work."""
    printed = (runs / "printed").read_text(encoding="utf-8").splitlines()
    assert printed.count("parted: 0 threads") == 2
    assert (
        sum(line.startswith("together: ") and line != "together: 0 threads" for line in printed)
        == 2
    )


def test_one_of_the_processes_writes_the_files(runs: Path) -> None:
    assert load_model(runs / "two").config.num_keypoints == 14
    assert {path.name for path in (runs / "two").iterdir()} == {
        path.name for path in (runs / "one").iterdir()
    }
