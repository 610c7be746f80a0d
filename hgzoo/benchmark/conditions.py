"""Under which conditions something was measured."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from hgzoo.run import installed_version

ALLOCATOR = ("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_CONF", "THP_MEM_ALLOC_ENABLE")
"""Environment variables that change how memory is claimed, besides those named MALLOC_..._."""

CPUINFO = Path("/proc/cpuinfo")
TELLING = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
"""Processor flags that decide how fast a number format is."""

ENGINES = ("onnxruntime", "openvino")


def conditions() -> dict[str, int | str]:
    """Tell threads, versions of what computes, processor and allocator."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **{name: installed_version(name) for name in ENGINES},
        "processor": " ".join(processor_flags()) or torch.backends.cpu.get_cpu_capability(),
        "allocator": allocator(),
    }


def allocator() -> str:
    """Tell how this process's environment changes the claiming of memory."""
    chosen = [f"{name}={os.environ[name]}" for name in ALLOCATOR if os.environ.get(name)]
    chosen += [
        f"{k}={v}" for k, v in os.environ.items() if k.startswith("MALLOC_") and k[-1] == "_"
    ]
    return " ".join(chosen) or "as the system has it"


def processor_flags() -> list[str]:
    """Tell what the processor has of `TELLING`; nothing where Linux does not say."""
    if not CPUINFO.is_file():
        return []
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return [flag for flag in TELLING if flag in flags]
