"""What the tests share: no network, small networks, made-up people, and the shared assets."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from hypothesis import HealthCheck, settings
from PIL import Image
from torch import Tensor, nn

from hgzoo import download
from hgzoo.config import InputSpec, ModelConfig, OutputSpec
from hgzoo.model import StackedHourglass
from hgzoo.skeletons import SKELETONS
from tests.hub_server import HubServer

# How long an example takes says more of what else the machine does.
unhurried = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("unhurried", **unhurried)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Refuse every connection that leaves the machine."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        local = isinstance(address, str | bytes) or address[0] in ("127.0.0.1", "::1", "localhost")
        if not local:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """Listen to Ctrl-C, also where a shell has started the tests in the background.

    There it is ignored from the beginning, in this process and in those it starts.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute in one thread: for small networks, to share the work costs more than the work.

    Where other programs run it costs many times more: threads wait for each other, and burn time.
    """
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with data/ and golden/, or a skip that says how to get it."""
    folder = os.environ.get("HGZOO_TEST_ASSETS")
    if not folder:
        pytest.skip("HGZOO_TEST_ASSETS does not name the folder with data/ and golden/")
    return Path(folder).resolve()


def small_config(**changes: Any) -> ModelConfig:
    """Two stacks of four features, for inputs of multiples of 16."""
    values: dict[str, Any] = {
        "num_stacks": 2,
        "num_feats": 4,
        "depth": 2,
        "stem_channels": (2, 4, 4, 4),
        "num_keypoints": 14,
        **changes,
    }
    return ModelConfig(**values)


def small_model(**changes: Any) -> StackedHourglass:
    """A small network with LSP's keypoints for 32 high, 48 wide pictures."""
    return StackedHourglass(
        small_config(**changes),
        input=InputSpec(size=(32, 48), mean=(0.5, 0.4, 0.3)),
        output=OutputSpec(heatmaps="logits", skeleton=SKELETONS["lsp"], decoder="taylor"),
    )


def shaken(model: StackedHourglass) -> StackedHourglass:
    """Give batch norms statistics that matter."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    return model.eval()


def images(batch: int = 3) -> Tensor:
    return torch.randn(batch, 3, 32, 48)


@pytest.fixture
def picture_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture of noise and return its path."""

    def write(name: str = "noise.png", *, width: int = 60, height: int = 40, **save: Any) -> Path:
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / name
        Image.fromarray(noise).save(path, **save)
        return path

    return write


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and no waiting between tries."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(folder / "assets"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder


@pytest.fixture
def hub_server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub on the loopback that huggingface_hub takes for the real one."""
    with HubServer() as server:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server
