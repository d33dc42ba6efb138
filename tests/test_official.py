from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from conftest import Golden
from untrimmed import official
from untrimmed.errors import ConfigError, ModelError
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer


@pytest.mark.parametrize("video", [0, 1])
def test_outputs_are_the_official_ones(golden: Golden, video: int) -> None:
    model = official.build(golden.config, golden.state())
    features, valid, _, _ = golden.batch()
    with torch.inference_mode():
        out = model(features[video, None], valid[video, None])
    there = out.valid[0]
    torch.testing.assert_close(out.logits[0][there], golden.levels(video, "logits"), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.offsets[0][there], golden.levels(video, "offsets"), atol=1e-4, rtol=0)
    assert torch.equal(out.valid[0], torch.from_numpy(golden.arrays["batch/valid"][video]))


def test_moments_are_the_official_points(golden: Golden) -> None:
    model = official.build(golden.config, golden.state())
    features, valid, _, _ = golden.batch()
    with torch.inference_mode():
        assert torch.equal(model(features, valid).moments, golden.levels(0, "points"))


def test_padded_length_is_the_official_one() -> None:
    thumos = ModelConfig(padding="official")  # strides up to 32, windows of 2 * 9
    assert [thumos.padded_length(n) for n in (1, 2304, 2305, 2880, 2881)] == [2304, 2304, 2880, 2880, 3456]
    mixed = ModelConfig(padding="official", base_length=192, window=(7,) * 5 + (None,))
    assert [mixed.padded_length(n) for n in (1, 192, 193)] == [192, 192, 288]  # 16 * 6 is more than 32
    assert ModelConfig().padded_length(5000) == 5000


def test_model_is_in_eval_mode_and_ready_to_train(local_attention_case: Golden) -> None:
    model = official.build(local_attention_case.config, local_attention_case.state())
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())


def test_state_is_copied(local_attention_case: Golden) -> None:
    state = local_attention_case.state()
    model = official.build(local_attention_case.config, state)
    for tensor in state.values():
        tensor.zero_()
    assert all(float(p.detach().abs().sum()) > 0 for p in model.parameters())


def test_names_of_a_data_parallel_model_are_understood(local_attention_case: Golden) -> None:
    state = local_attention_case.state()
    plain = official.build(local_attention_case.config, state).state_dict()
    wrapped = official.build(local_attention_case.config, {f"module.{k}": v for k, v in state.items()}).state_dict()
    assert plain.keys() == wrapped.keys()
    assert all(torch.equal(plain[name], wrapped[name]) for name in plain)


def test_every_official_name_has_a_tensor_of_its_own(golden: Golden) -> None:
    """No two tensors may be mixed up, not even two of one shape."""
    state = {name: torch.full_like(tensor, i + 1.0) for i, (name, tensor) in enumerate(golden.state().items())}
    ours = official.build(golden.config, state).state_dict()
    values = sorted(tensor.flatten()[0].item() for tensor in ours.values())
    assert values == [i + 1.0 for i in range(len(state))]
    assert all((tensor == tensor.flatten()[0]).all() for tensor in ours.values())


def test_missing_tensor(local_attention_case: Golden) -> None:
    state = local_attention_case.state()
    del state["cls_head.cls_head.conv.weight"]
    with pytest.raises(ModelError, match=r"lacks classification\.output\.weight; is the configuration the one"):
        official.build(local_attention_case.config, state)


def test_many_missing_tensors_are_counted(local_attention_case: Golden) -> None:
    state = {k: v for k, v in local_attention_case.state().items() if not k.startswith("backbone.stem.0")}
    left_out = len(local_attention_case.state()) - len(state)
    with pytest.raises(ModelError, match=rf"lacks encoder\.stem\.0\..* and {left_out - 3} more;"):
        official.build(local_attention_case.config, state)


def test_tensor_that_is_left_over_has_its_official_name(local_attention_case: Golden) -> None:
    state = local_attention_case.state() | {"module.backbone.stem.7.ln1.weight": torch.ones(1, 32, 1)}
    with pytest.raises(ModelError, match=r"has module\.backbone\.stem\.7\.ln1\.weight too many; is the configuration"):
        official.build(local_attention_case.config, state)


def test_missing_and_left_over_tensors_are_named_together(local_attention_case: Golden) -> None:
    state = local_attention_case.state()
    state["cls_head.other.weight"] = state.pop("cls_head.cls_head.conv.weight")
    with pytest.raises(ModelError, match=r"lacks classification\.output\.weight and has cls_head\.other\.weight too"):
        official.build(local_attention_case.config, state)


def test_tensor_of_another_shape(local_attention_case: Golden) -> None:
    config = copy.deepcopy(local_attention_case.config)
    for section in ("dataset", "model"):
        config[section]["num_classes"] = 7
    with pytest.raises(
        ModelError, match=r"cls_head\.cls_head\.conv\.\w+ has shape \[4.*the configuration makes it \[7"
    ):
        official.build(config, local_attention_case.state())


def _edit(section: str, **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda config: config[section].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_edit("model", fpn_start_level=1), r"model\.fpn_start_level is 1, but only 0 works"),
        (_edit("model", n_mha_win_size=[5, 5]), "window has 2 numbers, but the pyramid has 3 levels"),
        (_edit("model", regression_range=[[0, 4]]), "regression_ranges has 1, but there are 3 levels"),
        (_edit("model", n_head=5), "width is 32, but has to be a multiple of the 5 attention_heads"),
        (_edit("model", fpn_dim=64), "neck_width is 64, but neck 'identity' keeps the width, 32"),
        (_edit("model", embd_dim=0), "official configuration: "),
    ],
)
def test_configuration_that_cannot_be_built(
    local_attention_case: Golden, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    config = local_attention_case.config
    edit(config)
    with pytest.raises(ConfigError, match=message) as error:
        official.model_config(config)
    assert str(error.value).startswith("official configuration: ")


@pytest.mark.parametrize("key", ["input_dim", "num_classes"])
def test_size_of_the_data_is_needed(local_attention_case: Golden, key: str) -> None:
    config = local_attention_case.config
    del config["dataset"][key], config["model"][key]
    with pytest.raises(ConfigError, match=rf"official configuration: dataset\.{key} is missing"):
        official.model_config(config)


@pytest.mark.parametrize("section", ["dataset", "model"])
def test_size_of_the_data_may_stand_in_either_section(local_attention_case: Golden, section: str) -> None:
    config = local_attention_case.config
    wanted = official.model_config(config)
    for key in ("input_dim", "num_classes"):
        del config[section][key]
    assert official.model_config(config) == wanted


def test_what_a_configuration_leaves_out_has_the_official_default() -> None:
    config = official.model_config({"dataset": {"input_dim": 2048, "num_classes": 20}})
    assert config.windows == (None,) * 6
    assert config == ModelConfig(
        input_dims=2048,
        num_classes=20,
        window=(None,) * 6,
        neck_width=512,
        head_width=512,
        regression_ranges=((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000)),
        padding="official",
    )


def test_branches_have_a_scale_only_with_drop_path(local_attention_case: Golden) -> None:
    config = local_attention_case.config
    assert official.model_config(config).branch_scale == 1e-4
    config["train_cfg"]["droppath"] = 0.0
    assert official.model_config(config).branch_scale is None
    names = ActionFormer(official.model_config(config)).state_dict()
    assert not any("branch.scale" in name for name in names)
