"""Trains a small network on made-up people; `torchrun` and the tests run it."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from hgzoo import engine, processes, synchronization
from hgzoo.config import Options
from hgzoo.data import DATASETS
from tests.test_engine import RECIPE, held_out, network

SMALL = replace(
    RECIPE,
    model=replace(RECIPE.model, num_feats=16, stem_channels=(8, 8, 16, 16)),
    input=replace(RECIPE.input, size=(64, 96)),
    train=replace(RECIPE.train, batch_size=5, optimizer="sgd", lr=1e-5, clip_grad=0.0),
)
"""The rate is so low because random weights multiply the last bits' noise in every step."""


def main(root: Path, out: Path) -> None:
    """Train for three epochs and print the figure of the best.

    Batches of five and nineteen people to judge: neither can be halved.
    """
    people = DATASETS["lsp"].train(root)
    reports = engine.fit(
        SMALL,
        network(SMALL),
        train=[(people, 1)],
        validation=held_out(people[:19]),
        out=out,
        options=Options(progress=False),
    )
    assert reports is not None
    mean = reports["lsp"].mean
    sys.stdout.write(f"process {processes.index()} of {processes.count()}: {mean:.6f}\n")


def check_batch_norm() -> None:
    """Hold the batch norm of shared batches against torch's of the whole batch, in float64."""
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3).double()
    with torch.no_grad():
        plain.weight.normal_()
        plain.bias.normal_()
    shared = nn.Sequential(nn.BatchNorm2d(3).double())
    shared[0].load_state_dict(plain.state_dict())
    synchronization.synchronize_batch_norms(shared, torch.device("cpu"))
    assert isinstance(shared[0], synchronization.SynchronizedBatchNorm)
    images, gradient = torch.randn(2, 5, 3, 4, 6, dtype=torch.float64)
    mine = slice(processes.index(), None, processes.count())
    whole, part = images.clone().requires_grad_(), images[mine].clone().requires_grad_()
    expected, found = plain(whole), shared(part)
    expected.backward(gradient)
    found.backward(gradient[mine])
    assert whole.grad is not None
    assert part.grad is not None
    torch.testing.assert_close(found, expected[mine])
    torch.testing.assert_close(part.grad, whole.grad[mine])
    for parameter, same in zip(shared.parameters(), plain.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(processes.summed(parameter.grad), same.grad)
    torch.testing.assert_close(shared[0].state_dict(), plain.state_dict())


def threads_of_the_group() -> list[str]:
    """Name the threads by which processes exchange tensors; of Linux."""
    names = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


if __name__ == "__main__":
    with processes.together():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
        check_batch_norm()
        sys.stdout.write(f"together: {len(threads_of_the_group())} threads\n")
    sys.stdout.write(f"parted: {len(threads_of_the_group())} threads\n")
