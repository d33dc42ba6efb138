from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from untrimmed.errors import ConfigError
from untrimmed.learning.config import OptimiserConfig, TrainingConfig
from untrimmed.learning.schedule import build_optimiser
from untrimmed.learning.transfer import freeze, transfer
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

CONFIG = ModelConfig(
    input_dims=6,
    num_classes=3,
    width=8,
    projection_layers=1,
    attention_heads=2,
    window=5,
    stem_blocks=1,
    downsampling_blocks=2,
    head_layers=2,
)
LABELS = ("jump", "run", "walk")


def made(seed: int, **changes: Any) -> ActionFormer:
    torch.manual_seed(seed)
    model = ActionFormer(replace(CONFIG, **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def test_the_same_model_is_taken_whole() -> None:
    model, source = made(0), made(1)
    found = transfer(model, LABELS, source, LABELS)
    assert not found.fresh
    assert found.classes == LABELS
    for name, tensor in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_classes_are_matched_by_label() -> None:
    model, source = made(0, num_classes=4), made(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = transfer(model, ("fall", "walk", "jump", "sit"), source, LABELS)
    assert (found.classes, found.new_classes) == (("walk", "jump"), ("fall", "sit"))
    for name in ("classification.output.weight", "classification.output.bias"):
        ours, theirs = model.state_dict()[name], source.state_dict()[name]
        assert torch.equal(ours[[1, 2]], theirs[[2, 0]])
        assert torch.equal(ours[[0, 3]], before[name][[0, 3]])
    assert found.summary("runs/a").splitlines() == [
        f"Started from runs/a: {len(before)} of {len(before)} tensors taken",
        "2 of 4 classes are known there; new: fall, sit",
    ]


def test_other_classes_have_a_new_head() -> None:
    model, source = made(0, num_classes=1), made(1)
    before = model.classification.output.weight.clone()
    found = transfer(model, ("fall",), source, LABELS)
    assert torch.equal(model.classification.output.weight, before)
    assert set(found.fresh) == {"classification.output.weight", "classification.output.bias"}
    assert found.summary("x").splitlines()[-1] == (
        "Not taken, since no class is known there: classification.output.weight, classification.output.bias"
    )


def test_other_features_have_a_new_projection() -> None:
    model, source = made(0, input_dims=10), made(1)
    found = transfer(model, LABELS, source, LABELS)
    assert found.fresh == {
        "encoder.projection.stack.convolutions.0.weight": "it is 8 x 6 x 3 there and 8 x 10 x 3 here"
    }


def test_more_levels() -> None:
    model, source = made(0, downsampling_blocks=3), made(1)
    found = transfer(model, LABELS, source, LABELS)
    assert set(found.fresh.values()) == {"that model has no such part"}
    assert all("branch.2" in name or ".3" in name or "scales.3" in name for name in found.fresh)


def test_nothing_fits() -> None:
    with pytest.raises(ConfigError, match=r"nothing of that model's encoder fits this one: it is 8 x 6 x 3 there"):
        transfer(made(0, width=16), LABELS, made(1), LABELS)


@pytest.mark.parametrize(
    ("parts", "frozen"),
    [
        (("projection",), ("encoder.projection.",)),
        (("encoder", "neck"), ("encoder.", "neck.")),
        (("classification", "regression"), ("classification.", "regression.")),
    ],
)
def test_frozen_parts_stay_as_they_are(parts: Any, frozen: tuple[str, ...]) -> None:
    model = made(0)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    freeze(model, parts)
    optimiser = build_optimiser(model, OptimiserConfig(learning_rate=0.1))
    for _ in range(2):
        out = model(torch.randn(2, 16, 6))
        (out.logits.square().mean() + out.offsets.square().mean()).backward()
        optimiser.step()
    for name, tensor in model.named_parameters():
        assert torch.equal(tensor, before[name]) == name.startswith(frozen), name


def test_something_has_to_be_trained() -> None:
    with pytest.raises(ValidationError, match="freeze names all parts"):
        TrainingConfig(freeze=("encoder", "neck", "classification", "regression"))
