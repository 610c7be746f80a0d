"""Trains a small network on made-up people; `torchrun` and the tests run it."""

import sys
from dataclasses import replace
from pathlib import Path

from hgzoo import engine
from hgzoo.data import DATASETS
from hgzoo.run import Options
from tests.test_engine import RECIPE, network


def main(root: Path, out: Path, *, batch_size: int) -> None:
    """Train for two epochs and print the figure of the best."""
    recipe = replace(RECIPE, train=replace(RECIPE.train, epochs=2, batch_size=batch_size))
    people = DATASETS["lsp"].train(root)
    report = engine.fit(
        recipe,
        network(recipe),
        train=[(people, 1)],
        validation=people,
        out=out,
        options=Options(progress=False),
    )
    assert report is not None
    sys.stdout.write(f"mean {report.mean:.6f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), batch_size=int(sys.argv[3]))
