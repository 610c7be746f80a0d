"""hgzoo convert, hgzoo push, hgzoo publish-zoo: weights from others, and to others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hgzoo.cli.shared import command
from hgzoo.errors import ConfigError

CONVERT = """\
hgzoo convert bearpaw_hg8-90e5d470.pth hg8
hgzoo convert checkpoint.pt mine --contract princeton
hgzoo convert my_state_dict.pth mine --like my/own.toml --half"""

PUSH = """\
hgzoo push runs/hg2_tiny --to me/my-hourglass
hgzoo push hg2_tiny.people --to me/hg2_tiny.people --private --tag v1"""

PUBLISH = """\
hgzoo publish-zoo --owner me --dry-run
hgzoo publish-zoo --owner me hg2_tiny.people hg8_original.princeton_mpii"""


def add_commands(commands: Any) -> None:
    """Add `convert`, `push` and `publish-zoo`."""
    text = "turn any known checkpoint into a folder of safetensors, config and card"
    parser = command(commands, "convert", _convert, text, examples=CONVERT)
    add = parser.add_argument
    add(
        "checkpoint", help="of bearpaw, anibali, FPD, princeton-vl or hgzoo (.pth, .safetensors, …)"
    )
    add("folder", help="where to; must not hold weights yet")
    add(
        "--contract",
        default="",
        metavar="NAME",
        help="whose pictures it expects: bearpaw, fpd or princeton (as its keys tell)",
    )
    add("--like", metavar="RECIPE", help="the recipe whose pictures and heatmaps it has")
    add("--half", action="store_true", help="store half precision")
    parser = command(
        commands, "push", _push, "publish a network on the Hugging Face Hub", examples=PUSH
    )
    add = parser.add_argument
    add("model", help="a name of the zoo, a checkpoint file, a folder or a run folder")
    add("--to", required=True, metavar="OWNER/NAME", help="the repository; made if there is none")
    add("--tag", default="", help="put this tag on the commit")
    add("--private", action="store_true", help="make a new repository private")
    add("--half", action="store_true", help="store half precision")
    text = "publish all pretrained weights of the zoo on the Hugging Face Hub"
    parser = command(commands, "publish-zoo", _publish, text, examples=PUBLISH)
    add = parser.add_argument
    add("names", nargs="*", metavar="WEIGHTS", help="which weights (all)")
    add("--owner", required=True, help="user or organization on the Hub")
    add("--dry-run", action="store_true", help="prepare the folders and upload nothing")
    add("--out", default="published", metavar="DIR", help="where folders go (%(default)s)")
    add("--private", action="store_true", help="make new repositories private")
    add(
        "--include-restricted",
        action="store_true",
        help="also weights whose licence does not let hgzoo pass them on: you have permission",
    )


def _convert(options: argparse.Namespace) -> int:
    from hgzoo import directories, factory
    from hgzoo.model import StackedHourglass

    folder = Path(options.folder)
    if taken := [name for name in directories.WEIGHTS_FILES if (folder / name).exists()]:
        raise ConfigError(f"{folder} holds {taken[0]} already; name a new folder")
    like = factory.model_info(options.like) if options.like else None
    checkpoint = factory.read_checkpoint(options.checkpoint, like=like, contract=options.contract)
    model = StackedHourglass.from_checkpoint(checkpoint, where=options.checkpoint)
    model.save_pretrained(folder, half=options.half)
    config = checkpoint.model
    print(
        f"{options.checkpoint}: layout of {checkpoint.layout}, {config.num_stacks} stacks, "
        f"{config.num_feats} features, {config.num_blocks} residuals a place, depth "
        f"{config.depth}, {config.num_keypoints} keypoints, mean {list(checkpoint.input.mean)}, "
        f"std {list(checkpoint.input.std)}"
        + (f"; these are {checkpoint.name}" if checkpoint.name else "")
    )
    print(f'wrote {folder}; load it with hgzoo.create_model("local-dir:{folder}", pretrained=True)')
    return 0


def _push(options: argparse.Namespace) -> int:
    from hgzoo import hub
    from hgzoo.factory import load_model

    model = load_model(options.model)
    address = hub.push_to_hub(
        model, options.to, revision=options.tag, private=options.private, half=options.half
    )
    print(address)
    return 0


def _publish(options: argparse.Namespace) -> int:
    from hgzoo import hub

    failed = False
    for one in hub.publish_zoo(
        options.owner,
        Path(options.out),
        names=options.names,
        dry_run=options.dry_run,
        restricted=options.include_restricted,
        private=options.private,
    ):
        print(f"{one.result:<10} {one.repo_id}: {one.detail}", flush=True)
        if one.sha256:
            print(f"{'':<10} model.safetensors has SHA-256 {one.sha256}")
        failed |= one.result == "failed"
    return int(failed)
