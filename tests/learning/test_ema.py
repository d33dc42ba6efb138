from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from untrimmed.learning.ema import WeightAverage


class _Model(nn.Module):
    """A parameter, a buffer that is averaged, and one that is not since it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))

    def set_to(self, value: float) -> None:
        with torch.no_grad():
            for tensor in self.state_dict().values():
                tensor.fill_(value)


def _walk(model: _Model, average: WeightAverage) -> Iterator[float]:
    """Move the model about, with an update after each move."""
    for value in (1.0, 4.0, -2.0, 8.0, 0.5, 3.0):
        model.set_to(value)
        average.update()
        yield value


def _copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("warmup", [False, True])
def test_average_by_its_definition(decay: float, warmup: bool) -> None:
    model = _Model()
    average = WeightAverage(model, decay, warmup=warmup)
    expected = 0.0
    for step, value in enumerate(_walk(model, average)):
        now = min(decay, (1 + step) / (10 + step)) if warmup else decay
        expected = now * expected + (1 - now) * value
        for name in ("weight", "mean"):
            torch.testing.assert_close(average.average[name], torch.full_like(average.average[name], expected))
    assert average.steps == 6


def test_warmup_forgets_the_starting_weights() -> None:
    model = _Model()
    model.set_to(1000.0)
    warm, cold = WeightAverage(model, 0.999, warmup=True), WeightAverage(model, 0.999, warmup=False)
    model.set_to(1.0)
    for _ in range(100):
        warm.update()
        cold.update()
    assert warm.average["weight"].tolist() == pytest.approx([1.0] * 3, abs=1e-3)
    assert cold.average["weight"][0].item() > 900


def test_counting_buffers_are_not_averaged() -> None:
    assert set(WeightAverage(_Model(), 0.9, warmup=False).average) == {"weight", "mean"}


def test_average_does_not_share_memory_with_the_model() -> None:
    model = _Model()
    average = WeightAverage(model, 0.9, warmup=False)
    model.set_to(5.0)
    assert not average.average["weight"].any()
    assert not average.average["weight"].requires_grad


def test_swapping_in_gives_the_average_and_then_exactly_the_own_weights() -> None:
    model = _Model()
    average = WeightAverage(model, 0.9, warmup=False)
    list(_walk(model, average))
    with torch.no_grad():
        model.weight.copy_(torch.tensor([0.1, 1 / 3, 1e-30]))
    own, averaged = _copies(model), {name: tensor.clone() for name, tensor in average.average.items()}
    parameter = model.weight
    with average.swapped_in():
        inside = _copies(model)
    assert all(torch.equal(inside[name], averaged[name]) for name in averaged)
    assert inside["count"] == own["count"]
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(tensor, averaged[name]) for name, tensor in average.average.items())
    assert model.weight is parameter  # an optimiser still holds it
    assert model.weight.requires_grad


def test_own_weights_come_back_after_an_error() -> None:
    model = _Model()
    average = WeightAverage(model, 0.9, warmup=False)
    model.set_to(3.0)
    with pytest.raises(RuntimeError, match="validation"), average.swapped_in():
        raise RuntimeError("validation")
    assert model.weight.tolist() == [3, 3, 3]


def test_changes_inside_are_not_kept() -> None:
    model = _Model()
    average = WeightAverage(model, 0.9, warmup=False)
    model.set_to(3.0)
    with average.swapped_in():
        model.set_to(77.0)
    assert model.weight.tolist() == [3, 3, 3]
    assert not average.average["weight"].any()


@pytest.mark.parametrize("warmup", [False, True])
def test_state_goes_on_where_it_was(warmup: bool) -> None:
    model = _Model()
    whole = WeightAverage(model, 0.9, warmup=warmup)
    values = list(_walk(model, whole))

    model.set_to(0.0)
    first = WeightAverage(model, 0.9, warmup=warmup)
    file = io.BytesIO()
    for i, value in enumerate(values):
        if i == 3:
            torch.save(first.state_dict(), file)
            file.seek(0)
            first = WeightAverage(_Model(), 0.9, warmup=warmup)
            first.load_state_dict(torch.load(file, weights_only=True))
            model = first._model  # type: ignore[assignment]
        model.set_to(value)
        first.update()
    assert first.steps == whole.steps
    assert all(torch.equal(first.average[name], tensor) for name, tensor in whole.average.items())


def test_average_that_was_loaded_is_its_own() -> None:
    model = _Model()
    average = WeightAverage(model, 0.9, warmup=False)
    other = WeightAverage(model, 0.9, warmup=False)
    other.load_state_dict(average.state_dict())
    model.set_to(5.0)
    average.update()
    assert not other.average["weight"].any()
