from __future__ import annotations

import pytest
import torch

from untrimmed.errors import ConfigError
from untrimmed.model.devices import Precision, autocast, computes_in_bf16, pick_device


def test_named_device() -> None:
    assert pick_device("cpu") == torch.device("cpu")


def test_automatic_device_can_be_used() -> None:
    assert torch.ones(2, device=pick_device("auto")).sum() == 2


def test_unknown_device() -> None:
    with pytest.raises(ConfigError, match=r"^there is no device 'gpu'; use auto, cpu, cuda or mps$"):
        pick_device("gpu")


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:99"])
def test_device_that_is_not_here(name: str) -> None:
    if (name == "cuda" and torch.cuda.is_available()) or (name == "mps" and torch.backends.mps.is_available()):
        pytest.skip(f"there is {name}")
    with pytest.raises(ConfigError, match=rf"^device '{name}' cannot be used here \(.+\); use auto or cpu$"):
        pick_device(name)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_precision_of_a_product(precision: Precision) -> None:
    device = torch.device("cpu")
    with autocast(device, precision):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    bf16 = precision == "bf16" or (precision == "auto" and computes_in_bf16(device))
    assert product.dtype == (torch.bfloat16 if bf16 else torch.float32)


def test_only_processors_that_gain_compute_in_bf16() -> None:
    assert isinstance(computes_in_bf16(torch.device("cpu")), bool)
    assert not computes_in_bf16(torch.device("meta"))
