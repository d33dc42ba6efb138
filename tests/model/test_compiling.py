from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from untrimmed.model import compiling
from untrimmed.model.compiling import compiled
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

PROGRAM = """
import warnings
import torch
from untrimmed.model.compiling import compiled

double = compiled(lambda x: (x.sin() + 1).relu())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.testing.assert_close(double(torch.ones(3)), (torch.ones(3).sin() + 1))
    double(torch.ones(4))
print([str(w.message) for w in caught if "torch.compile" in str(w.message)])
"""


@pytest.mark.slow
def test_without_a_compiler_it_runs_as_it_is_and_says_so_once() -> None:
    environment = os.environ | {"CXX": "/nowhere/c++", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.count("without torch.compile, which failed here") == 1
    assert "/nowhere/c++" in run.stdout


def test_errors_of_the_function_itself_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(x: torch.Tensor) -> torch.Tensor:
        raise ValueError(f"no {x.shape}")

    monkeypatch.setattr(compiling.torch, "compile", lambda function, **_: function)
    with pytest.raises(ValueError, match=r"no torch\.Size"):
        compiled(refuse)(torch.ones(2))


def test_a_failing_compiler_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def failing(x: torch.Tensor) -> torch.Tensor:
        asked.append(1)
        raise BackendCompilerFailed(lambda: None, RuntimeError("broken"), None)

    monkeypatch.setattr(compiling.torch, "compile", lambda function, **_: failing)
    run = compiled(lambda x: x + 1)
    with pytest.warns(UserWarning, match="without torch.compile"):
        assert run(torch.zeros(1)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(torch.ones(1)) == 2
    assert len(asked) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the tracer itself does
def test_the_network_can_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the compiler makes of it is the compiler's; that it gets to see the network, and says the same, is ours."""
    monkeypatch.setattr(compiling.torch, "compile", partial(torch.compile, backend="eager"))
    torch.manual_seed(0)
    config = ModelConfig(
        input_dims=6, num_classes=2, width=8, stem_blocks=0, downsampling_blocks=1, window=5, head_layers=1
    )
    model = ActionFormer(replace(config, drop_path=0.0))
    features = torch.randn(2, 40, 6)
    valid = torch.arange(40) < torch.tensor([[40], [31]])
    losses = [
        (out.logits.square().sum(-1) + out.offsets.sum(-1))[out.valid].sum()
        for out in (compiled(model.forward)(features, valid), model(features, valid))
    ]
    ours, theirs = (torch.autograd.grad(loss, model.parameters()) for loss in losses)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
