from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.errors import ConfigError
from untrimmed.model.chunks import margin
from untrimmed.model.config import ModelConfig
from untrimmed.model.memory import bytes_per_clip, clips_within
from untrimmed.model.network import ActionFormer

CONFIG: dict[str, Any] = {"input_dims": 64, "num_classes": 3, "width": 64, "window": 9, "downsampling_blocks": 3}
STATUS = Path("/proc/self/status")


@given(
    width=st.sampled_from([64, 256, 512]),
    dims=st.sampled_from([64, 2048]),
    mlp_ratio=st.integers(1, 8),
    encoder=st.sampled_from(["transformer", "conv"]),
    neck=st.sampled_from(["identity", "top_down"]),
)
def test_a_clip_takes_at_least_what_has_to_be_held(
    width: int, dims: int, mlp_ratio: int, encoder: str, neck: str
) -> None:
    config = ModelConfig(input_dims=dims, num_classes=20, width=width, mlp_ratio=mlp_ratio, encoder=encoder, neck=neck)  # type: ignore[arg-type]
    hidden = 2 * width * mlp_ratio if encoder == "transformer" else 4 * width
    assert 4 * (dims + width + hidden) < bytes_per_clip(config) < 4 * (dims + 60 * width + 4 * hidden)


def test_clips_grow_with_memory() -> None:
    model = ActionFormer(ModelConfig(**CONFIG))
    each, period = bytes_per_clip(model.config), model.config.strides[-1]
    allowed = [clips_within(memory, model) for memory in range(40_000_000, 70_000_000, 1_000_000)]
    for before, after in pairwise(allowed):
        assert after % period == 0
        assert abs(after - before - 1_000_000 / each) <= period


def test_too_little_memory_names_the_least_that_would_do() -> None:
    model = ActionFormer(ModelConfig(**CONFIG))
    with pytest.raises(ConfigError, match=r"^max_memory is 1,000 bytes, but this model needs [\d,]+: ") as caught:
        clips_within(1000, model)
    least = int(str(caught.value).partition("needs ")[2].partition(":")[0].replace(",", ""))
    assert clips_within(least, model) == 3 * margin(model.config)
    with pytest.raises(ConfigError):
        clips_within(least - 1, model)


def test_a_model_that_needs_the_whole_video() -> None:
    with pytest.raises(ConfigError, match=r"max_memory.* model\.window is null"):
        clips_within(10**12, ActionFormer(ModelConfig(**(CONFIG | {"window": None}))))


@pytest.mark.skipif(not STATUS.exists(), reason="this system does not tell how much memory a process took")
def test_a_process_takes_no_more_than_it_may() -> None:
    program = f"""
import json, torch
from untrimmed.model.chunks import predict_in_chunks
from untrimmed.model.config import ModelConfig
from untrimmed.model.memory import clips_within
from untrimmed.model.network import ActionFormer

def peak():
    lines = open({str(STATUS)!r}).read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
features = torch.ones(1, 40_000, 64)
ActionFormer(ModelConfig(input_dims=8, num_classes=2, width=8)).eval()(features[:, :99, :8])  # the program itself
start = peak()
model = ActionFormer(ModelConfig(**{CONFIG!r})).eval()
took = []
with torch.inference_mode():
    for length in (20_000, 40_000):
        predict_in_chunks(model, lambda a, b: features[:, a:b], length, clips=clips_within(60_000_000, model))
        took.append(peak() - start)
    model(features)
print(json.dumps([*took, peak() - start]))
"""
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    half, all_of_it, whole = json.loads(outcome.stdout)
    assert all_of_it < 60_000_000
    assert all_of_it < 1.5 * half  # what is predicted grows, and nothing else
    assert whole > 150_000_000
