"""What `hgzoo benchmark train` counts; how long things take is not tested."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hgzoo import factory
from hgzoo.benchmark import (
    BASELINE,
    KEEPING,
    SETUPS,
    Step,
    Timed,
    keeping_process,
    loading,
    saved_bytes,
    times_faster,
    write_people,
)
from hgzoo.blocks import Residuals
from hgzoo.cli import benchmark, main
from hgzoo.pictures import load


class Exp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()


def test_saved_bytes_by_hand() -> None:
    """The product keeps x for the weight's gradient, the ReLU its result; the sum nothing."""
    x, weight = torch.randn(5), torch.ones(5, requires_grad=True)

    def work() -> None:
        (x * weight).relu().sum().backward()

    assert saved_bytes(work, known=[weight]) == 5 * 4 + 5 * 4
    assert saved_bytes(work, known=[weight, x]) == 5 * 4


def test_tensors_that_share_their_memory_count_once() -> None:
    """Both products keep x, of which each sees a half; the root of each keeps its result."""
    x, weight = torch.rand(6), torch.ones(3, requires_grad=True)

    def work() -> None:
        ((x[:3] * weight).sqrt() + (x[3:] * weight).sqrt()).sum().backward()

    assert saved_bytes(work, known=[weight]) == 6 * 4 + 2 * 3 * 4


def test_what_is_computed_again_was_not_saved() -> None:
    """Three exponentials keep their results; forgetful blocks their inputs, the first one x."""
    block = Residuals(nn.Sequential(Exp(), Exp()), Exp())
    x = torch.randn(5, requires_grad=True)
    assert saved_bytes(lambda: block(x).sum().backward(), known=[x]) == 3 * 5 * 4
    block.grad_checkpointing = True
    assert saved_bytes(lambda: block(x).sum().backward(), known=[x]) == 5 * 4


def test_a_ratio_is_the_median_over_the_rounds() -> None:
    """Round by round 2, 3 and 10 times; the ratio of the medians would be 4."""
    one = Step(setup="float32", batch=4, seconds=(1.0, 2.0, 0.5), saved=0)
    other = Step(setup=BASELINE, batch=4, seconds=(2.0, 6.0, 5.0), saved=0)
    assert times_faster(one, other) == 3.0
    assert one.rate == 4.0


def test_a_step_is_timed_until_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(torch.cpu, "synchronize", lambda: done.append("device"))
    run = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu")),
        step=lambda batch: done.append("step"),
    )
    Timed.seconds(SimpleNamespace(run=run, batch=None))
    assert done == ["device", "step", "device"]


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let eight photographs be drawn, not 64."""
    monkeypatch.setattr(loading, "PICTURES", 8)


@pytest.mark.usefixtures("few_pictures")
def test_setups_differ_in_what_they_say_alone(tmp_path: Path) -> None:
    recipe = factory.model_info("hg1_nano")
    recipe = replace(recipe, train=replace(recipe.train, batch_size=9, accumulate=3))
    people = write_people(tmp_path, keypoints=recipe.model.num_keypoints)
    assert load(people[0].path).shape == (450, 600, 3)
    timed = {
        name: Timed(recipe, people, setup, batch=2, folder=tmp_path)
        for name, setup in SETUPS.items()
    }
    base = timed[BASELINE].run.model.state_dict()
    for name, one in timed.items():
        setup, run = SETUPS[name], one.run
        for tensor in (run.model.stem.conv.weight, one.batch.images):
            assert tensor.is_contiguous(memory_format=torch.channels_last) == setup.channels_last
            assert tensor.is_contiguous() != setup.channels_last
        assert run.model.stem.grad_checkpointing == setup.forget
        assert run.options.precision == setup.precision
        assert (run.config.batch_size, run.config.accumulate) == (2, 1)
        assert all(torch.equal(tensor, base[key]) for key, tensor in run.model.state_dict().items())


def test_the_allocator_setting_stays_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    (name, setting) = next(iter(KEEPING.items()))
    monkeypatch.delenv(name, raising=False)
    with keeping_process() as pool:
        assert name not in os.environ
        assert pool.submit(os.getenv, name).result() == setting


@pytest.mark.usefixtures("few_pictures")
def test_the_command_prints_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    file = tmp_path / "speed.json"
    words = "--model hg1_nano --batch 2 --size 64 --repeats 1 --workers 0,1 --quiet"
    threads = torch.get_num_threads()
    command = ["benchmark", "train", *words.split(), "--threads", str(threads)]
    assert main([*command, "--json", str(file)]) == 0
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"model hg1_nano, size 64x64, threads {threads}, ")
    assert lines[0].endswith("allocator GLIBC_TUNABLES=glibc.malloc.hugetlb=1")
    for setup in SETUPS:
        assert any(line.startswith(f"| 2 | {setup} | ") for line in lines), setup
    assert any(line.startswith(f"| 2 | {BASELINE} | ") and "| 1.00 |" in line for line in lines)
    for workers in (0, 1):
        assert sum(line.startswith(f"| {workers} | ") for line in lines) == 1
    table = json.loads(file.read_text(encoding="utf-8"))
    assert [len(step["seconds"]) for step in table["steps"]] == [1] * len(SETUPS)
    saved = {(step["batch"], step["setup"]): step["saved"] for step in table["steps"]}
    assert saved[2, "float32"] == saved[2, BASELINE]
    assert saved[2, "float32"] / saved[2, "float32, checkpointing"] > 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--batch 65,2", "--batch must be at most 64"),
        ("--size 100", "must divide by 64"),
        ("--model hg1_nanno", "hg1_nano"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(
    words: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmark, "_measured", None)
    command = "benchmark train --model hg1_nano --batch 2 --size 64 --repeats 1 --quiet"
    assert main([*command.split(), *words.split()]) == 1
    assert reason in capsys.readouterr().err
