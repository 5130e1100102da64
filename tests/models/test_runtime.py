"""Device, type and threads for the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.errors import SpecError
from harness.models.runtime import alone, choose_runtime, computes_in_bfloat16
from harness.records import Runtime
from harness.spec import ModelSpec


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"cpu_name": "a processor without bf16"}, False),
        ({}, False),
    ],
)
def test_bfloat16_only_where_the_processor_computes_in_it(
    capabilities: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert computes_in_bfloat16(capabilities) is expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    chosen = choose_runtime(ModelSpec(reference="any", device="cpu"), 8)
    assert chosen.dtype == ("bfloat16" if expected else "float32")


@pytest.mark.parametrize(("workers", "threads", "share"), [(1, 6, 1), (4, 1, 0.25), (8, 1, 0.125)])
def test_trials_side_by_side_share_memory_and_cores(
    monkeypatch: pytest.MonkeyPatch, workers: int, threads: int, share: float
) -> None:
    monkeypatch.setattr("harness.models.runtime._threads_at_most", lambda: 6)
    spec = ModelSpec(reference="any", device="cpu")
    chosen = choose_runtime(spec, 8, workers)
    assert (chosen.threads, chosen.memory_share) == (threads, share)
    by_itself = alone(chosen)
    assert (by_itself.threads, by_itself.memory_share) == (6, 1.0)
    assert alone(Runtime("cpu", "float32", 4)).threads == 0


@pytest.mark.parametrize(
    ("declared", "threads"),
    [("", 6), ("2", 2), ("16", 6), ("3,1", 3), ("0", 6), ("many", 6), (" 4 ", 4)],
)
def test_no_more_threads_than_openmp_may_use(
    monkeypatch: pytest.MonkeyPatch, declared: str, threads: int
) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 6)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(12)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", declared)
    spec = ModelSpec(reference="any", device="cpu")
    chosen = choose_runtime(spec, 8)
    assert chosen.threads == threads
    assert alone(replace(chosen, threads=1)).threads == threads


def test_a_type_that_is_named_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    spec = ModelSpec(reference="any", device="cpu", dtype="bfloat16")
    assert choose_runtime(spec, 8).dtype == "bfloat16"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(SpecError, match=r"model\.device"):
        choose_runtime(ModelSpec(reference="any", device="cuda:99"), 8)
