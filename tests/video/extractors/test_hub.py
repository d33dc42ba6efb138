from __future__ import annotations

import json
import logging
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from pickle_bomb import Bomb
from untrimmed.errors import ConfigError, MissingExtraError, ModelError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.extractors.hub import HubClipExtractor, HubPictureExtractor, open_hub_extractor
from untrimmed.video.extractors.hub.kinds import KINDS
from untrimmed.video.extractors.hub.preprocessing import parse_preprocessing
from untrimmed.video.view import View

transformers: Any = pytest.importorskip("transformers")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
PICTURE = {"image_size": 32, "patch_size": 16}
MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
PREPROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 36},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": MEAN,
    "image_std": DEVIATION,
}


def text() -> dict[str, Any]:
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return {**SIZES, **ids, "vocab_size": 30, "max_position_embeddings": 8}


def of(name: str, **options: Any) -> Any:
    """A model with random weights."""
    config = getattr(transformers, f"{name.removesuffix('Model')}Config")(**options)
    return getattr(transformers, name)(config)


def vjepa2() -> Any:
    predictor = {"pred_hidden_size": 48, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    encoder = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    return of("VJEPA2Model", **encoder, **predictor, pred_num_mask_tokens=2, crop_size=32, frames_per_clip=4)


def xclip() -> Any:
    over_time = {f"mit_{name}": value for name, value in {**SIZES, "hidden_size": 24, "num_hidden_layers": 1}.items()}
    vision = {**SIZES, **PICTURE, **over_time, "num_frames": 4}
    return of("XCLIPModel", text_config=text(), vision_config=vision, projection_dim=24)


def dino(name: str) -> Any:
    # Trained on larger pictures than the preprocessor makes, as DINOv2 was.
    return of(
        name, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=48, patch_size=16
    )


MODELS: dict[str, Callable[[], Any]] = {
    "videomae": lambda: of("VideoMAEModel", **SIZES, **PICTURE, num_frames=4),
    "vjepa2": vjepa2,
    "timesformer": lambda: of("TimesformerModel", **SIZES, **PICTURE, num_frames=4),
    "vivit": lambda: of("VivitModel", **SIZES, image_size=32, tubelet_size=[2, 16, 16], num_frames=4),
    "xclip": xclip,
    "dinov2": lambda: dino("Dinov2Model"),
    "dinov2_with_registers": lambda: dino("Dinov2WithRegistersModel"),
    "dinov3_vit": lambda: of("DINOv3ViTModel", **SIZES, **PICTURE),
    "siglip": lambda: of("SiglipModel", text_config=text(), vision_config={**SIZES, **PICTURE}),
    "siglip_vision_model": lambda: of("SiglipVisionModel", **SIZES, **PICTURE),
    "clip": lambda: of("CLIPModel", text_config=text(), vision_config={**SIZES, **PICTURE}),
    "clip_vision_model": lambda: of("CLIPVisionModel", **SIZES, **PICTURE),
}
CLIPS = ("videomae", "vjepa2", "timesformer", "vivit", "xclip")


def expected_vectors(kind: str, model: Any, x: Tensor) -> Tensor:
    """What a model says of clips `[B, T, 3, H, W]` or pictures `[B, 3, H, W]`, called as its documentation does."""
    if kind == "videomae":
        return model(x).last_hidden_state.mean(1)
    if kind == "vjepa2":
        return model.get_vision_features(x).mean(1)
    if kind in ("timesformer", "vivit"):
        return model(x).last_hidden_state[:, 0]
    if kind == "xclip":
        return model.get_video_features(x).pooler_output
    if kind in ("siglip", "clip"):
        return model.vision_model(x).pooler_output
    return model(x).pooler_output


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of each kind, in eval mode, which lies also in the folder that is its `place`."""
    folder = tmp_path_factory.mktemp("hub")
    made = {}
    torch.manual_seed(0)
    transformers.logging.disable_progress_bar()
    for kind, make in MODELS.items():
        model = make().eval()
        for parameter in model.parameters():  # new ones are so small that hardly anything matters
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder / kind)
        (folder / kind / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
        model.place = folder / kind
        made[kind] = model
    transformers.logging.enable_progress_bar()
    return made


@pytest.fixture
def place(models: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the folder of VideoMAE, to be spoilt."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in models["videomae"].place.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def frames(n: int) -> list[tuple[NDArray[np.uint8]]]:
    rng = np.random.default_rng(n)
    return [(rng.integers(0, 256, (32, 32, 3), np.uint8),) for _ in range(n)]


def features(extractor: Extractor, n: int) -> NDArray[np.float32]:
    return np.concatenate(list(extractor.features(frames(n))))


def prepared(n: int, offset: float = 0.0) -> Tensor:
    """Frames as the models see them, `[n, 3, H, W]`, prepared by hand."""
    values = torch.from_numpy(np.stack([picture for (picture,) in frames(n)])) / 255 - offset
    return ((values - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(0, 3, 1, 2)


def test_every_kind_is_tested() -> None:
    assert set(MODELS) == set(KINDS)


@pytest.mark.parametrize("kind", CLIPS)
def test_models_of_clips(models: dict[str, Any], kind: str) -> None:
    model = models[kind]
    extractor = open_hub_extractor(str(model.place), stride=3, device="cpu", precision="fp32")
    assert isinstance(extractor, HubClipExtractor)
    found = features(extractor, 11)
    video = prepared(11, offset=1.0 if kind == "vivit" else 0.0)
    clips = torch.stack([video[i : i + 4] for i in (0, 3, 6)])
    with torch.inference_mode():
        expected = expected_vectors(kind, model, clips)
    assert found.shape == (3, extractor.dimension)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-2  # so they are not constant


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in CLIPS])
def test_models_of_pictures(models: dict[str, Any], kind: str) -> None:
    model = models[kind]
    extractor = open_hub_extractor(str(model.place), device="cpu", precision="fp32")
    assert isinstance(extractor, HubPictureExtractor)
    assert extractor.grid == TimeGrid(2, 4, 8.0)
    found = features(extractor, 8)
    with torch.inference_mode():
        vectors = expected_vectors(kind, model, prepared(8))
    expected = torch.stack([vectors[i : i + 4].mean(0) for i in (0, 2, 4)])
    assert found.shape == (3, extractor.dimension)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(found[0] - found[2]).max() > 1e-2


@pytest.mark.parametrize("kind", CLIPS)
def test_the_order_of_the_frames_matters(models: dict[str, Any], kind: str) -> None:
    extractor = open_hub_extractor(str(models[kind].place), device="cpu", precision="fp32")
    (there,), (back,) = (np.concatenate(list(extractor.features(order))) for order in (frames(4), frames(4)[::-1]))
    assert np.abs(there - back).max() > 1e-3


def test_facts(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = models["videomae"].place
    monkeypatch.chdir(folder.parent)
    extractor = open_hub_extractor("videomae", device="cpu")
    assert extractor.name == f"hf:{folder}"
    assert extractor.views == (View(32, 32, 36),)
    assert extractor.grid == TimeGrid(1, 4, 1.875)  # 4 frames over 64/30 seconds
    assert extractor.dimension == 32


def test_reduced_precision(models: dict[str, Any]) -> None:
    fine, coarse = (
        open_hub_extractor(str(models["videomae"].place), device="cpu", precision=precision)
        for precision in ("fp32", "bf16")
    )
    a, b = features(fine, 4)[0], features(coarse, 4)[0]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999
    assert not np.array_equal(a, b)
    assert coarse.fingerprint == fine.fingerprint


def test_fingerprint(place: Path) -> None:
    usual = open_hub_extractor(str(place)).fingerprint
    assert usual == open_hub_extractor(str(place), device="cpu").fingerprint
    found = {
        usual,
        open_hub_extractor(str(place), stride=2).fingerprint,
        open_hub_extractor(str(place), rate=9).fingerprint,
    }
    (place / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, "image_mean": [0.5] * 3}))
    found.add(open_hub_extractor(str(place)).fingerprint)
    weights = safetensors.torch.load_file(place / "model.safetensors")
    weights[min(weights)] += 1
    safetensors.torch.save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    found.add(open_hub_extractor(str(place)).fingerprint)
    assert len(found) == 5


def test_number_of_frames(models: dict[str, Any]) -> None:
    videomae, vjepa2 = (str(models[kind].place) for kind in ("videomae", "vjepa2"))
    assert open_hub_extractor(videomae, window=4).grid.window == 4
    with pytest.raises(ConfigError, match="window is 8 frames, but has to be 4, as the model was trained"):
        open_hub_extractor(videomae, window=8)
    extractor = open_hub_extractor(vjepa2, window=8, device="cpu", precision="fp32")
    assert extractor.grid == TimeGrid(2, 8, 3.75)
    assert features(extractor, 8).shape == (1, 48)
    for window in (3, 0, -2):
        with pytest.raises(ConfigError, match=f"window is {window} frames, but has to be a multiple of 2"):
            open_hub_extractor(vjepa2, window=window)
    with pytest.raises(ConfigError, match=r"hf:.*vjepa2: stride is 2.5, but has to be a whole number"):
        open_hub_extractor(vjepa2, stride=2.5)
    with pytest.raises(ConfigError, match="there is no device 'gpu'"):
        open_hub_extractor(videomae, device="gpu")


def test_without_a_word(models: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple[Any, ...]:
        hub = [logging.getLogger(name).level for name in ("", "huggingface_hub", "transformers")]
        return transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled(), *hub

    before = state()
    for kind in ("videomae", "clip"):  # whose text half is left over
        features(open_hub_extractor(str(models[kind].place)), 4)
    assert capfd.readouterr() == ("", "")
    assert before == state()


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"the extractor hf:a/b needs transformers, .* 'untrimmed\[hub\]'"):
        open_hub_extractor("a/b")


# Models that cannot be used


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OWNER/NAME", "^hf:OWNER/NAME: it is neither a folder nor in the cache, and the hub cannot be reached"),
        ("a b", "^hf:a b: there is no folder and no public model on the hub of this name"),
        ("./nowhere", "^hf:./nowhere: there is no such folder"),
        ("/no/where", "^hf:/no/where: there is no such folder"),
        ("a/b/c", "^hf:a/b/c: there is no such folder"),
    ],
)
def test_models_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        open_hub_extractor(name)
    assert "\n" not in str(caught.value)


@pytest.fixture
def cache(models: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with a model `OWNER/NAME` in it, as a download leaves it; and no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    def no_network(*_: object, **__: object) -> None:
        pytest.fail("the network is asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    snapshot = tmp_path / "models--OWNER--NAME" / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "models--OWNER--NAME" / "refs").mkdir()
    (tmp_path / "models--OWNER--NAME" / "refs" / "main").write_text("0123")
    shutil.copytree(models["videomae"].place, snapshot)
    return snapshot


def test_a_model_in_the_cache_needs_no_network(cache: Path, models: dict[str, Any]) -> None:
    extractor = open_hub_extractor("OWNER/NAME", device="cpu", precision="fp32")
    assert extractor.name == "hf:OWNER/NAME"
    assert extractor.fingerprint == open_hub_extractor(str(models["videomae"].place)).fingerprint


def test_what_is_wrong_in_the_cache_is_said_without_a_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    changed("config.json", model_type="bert")(cache)
    with pytest.raises(ModelError, match=r"^hf:OWNER/NAME: is of the type 'bert', which is not supported"):
        open_hub_extractor("OWNER/NAME")


def changed(file: str, **changes: Any) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        record = json.loads((folder / file).read_text()) | changes
        (folder / file).write_text(json.dumps({key: value for key, value in record.items() if value is not None}))

    return spoil


def without(file: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).unlink()


def written(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


def without_a_tensor(folder: Path) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights[max(weights)]
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_bomb(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": Bomb(folder / "trace")}, folder / "pytorch_model.bin")


def with_code(folder: Path) -> None:
    (folder / "evil.py").write_text(f"from pathlib import Path; Path({str(folder / 'trace')!r}).touch()")
    auto = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    changed("config.json", model_type="evil", auto_map=auto)(folder)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            changed("config.json", model_type="bert"),
            "is of the type 'bert', which is not supported. These are: videomae",
        ),
        (changed("config.json", model_type=None), "is of the type None, which"),
        (changed("config.json", model_type=["x"]), "is of the type"),
        (changed("config.json", image_size=48), "shape|48 x 48"),
        (changed("config.json", hidden_size=30), "cannot be loaded|shape"),
        (changed("config.json", num_hidden_layers=3), "the weights lack '.*2.* or have it in another shape"),
        (without("config.json"), "has no config.json. Give a folder that save_pretrained"),
        (written("config.json", b"{"), "cannot be loaded"),
        (without("preprocessor_config.json"), "there is no preprocessor_config.json, so that size and normalisation"),
        (written("preprocessor_config.json", b"nonsense"), "preprocessor_config.json: is no JSON"),
        (written("preprocessor_config.json", b"[]"), "expected an object, but found list"),
        (changed("preprocessor_config.json", size=None), "'size' is not there"),
        (changed("preprocessor_config.json", crop_size=30), "makes pictures of 30 x 30, but the model takes 32 x 32"),
        (without("model.safetensors"), "model.safetensors"),
        (written("model.safetensors", b"abc"), "cannot be loaded"),
        (without_a_tensor, "the weights lack "),
        (with_a_bomb, "model.safetensors"),
        (with_code, "is of the type 'evil', which is not supported"),
    ],
)
def test_models_that_cannot_be_used(
    place: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], object], message: str
) -> None:
    spoil(place)
    with pytest.raises(ModelError, match=message) as caught:
        open_hub_extractor(str(place))
    assert str(caught.value).startswith(f"hf:{place}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not (place / "trace").exists()


# Preprocessor configurations


def parse(model_type: str = "videomae", **changes: Any) -> Any:
    record = {key: value for key, value in {**PREPROCESSOR, **changes}.items() if value is not None}
    return parse_preprocessing(record, model_type, "x.json")


@pytest.mark.parametrize(
    ("changes", "view"),
    [
        ({}, View(32, 32, 36)),
        ({"size": 40}, View(32, 32, 40)),
        ({"crop_size": 20}, View(20, 20, 36)),
        ({"crop_size": {"height": 20, "width": 30}}, View(20, 30, 36)),
        ({"crop_size": None, "do_center_crop": None}, View(36, 36, 36)),
        ({"do_center_crop": False}, View(36, 36, 36)),
        ({"do_center_crop": None}, View(32, 32, 36)),
        ({"size": {"height": 384, "width": 256}, "do_center_crop": False}, View(384, 256)),
        ({"size": {"height": 256, "width": 256}}, View(32, 32, 256)),
    ],
)
def test_sizes(changes: dict[str, Any], view: View) -> None:
    assert parse(**changes).view == view


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": None}, "x.json: 'size' is not there"),
        ({"do_resize": False}, "'size' is not there"),
        ({"size": {"longest_edge": 3}}, "x.json: cannot be understood"),
        ({"size": "large"}, "cannot be understood"),
        ({"crop_size": {"height": 3}}, "is no size; expected are height and width"),
        ({"crop_size": 40}, "crop_size 40 x 40 cannot be cut out of pictures of size 36"),
        ({"crop_size": 0}, "the size is 0 x 0, but has to be positive"),
        ({"size": {"height": 384, "width": 256}}, "only a square one can be cut"),
        ({"image_mean": None}, "image_mean is None, but three numbers are expected"),
        ({"image_std": [1, 2]}, r"image_std is \[1, 2\], but three numbers"),
        ({"image_std": [1, 2, 0]}, "image_std is .*, but has to be positive"),
        ({"image_mean": ["a", "b", "c"]}, "cannot be understood"),
        ({"rescale_factor": "x"}, "cannot be understood"),
    ],
)
def test_preprocessors_that_cannot_be_followed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse(**changes)


@pytest.mark.parametrize(
    ("processor", "model_type", "options"),
    [
        ("CLIPImageProcessorPil", "clip", {}),
        ("SiglipImageProcessorPil", "siglip", {"size": {"height": 32, "width": 32}}),
        ("VivitImageProcessor", "vivit", {}),
        ("VivitImageProcessor", "vivit", {"offset": False, "do_normalize": False}),
        ("CLIPImageProcessorPil", "clip", {"do_normalize": False}),
        ("CLIPImageProcessorPil", "clip", {"do_rescale": False}),
    ],
)
def test_values_are_those_that_transformers_makes(processor: str, model_type: str, options: dict[str, Any]) -> None:
    """Of a picture that has the right size already."""
    usual: dict[str, Any] = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    theirs = getattr(transformers, processor)(**{**usual, **options})
    record = json.loads(theirs.to_json_string())
    ours = parse_preprocessing(record, model_type, "x.json")
    assert (ours.view.height, ours.view.width) == (32, 32)
    ((picture,),) = frames(1)
    expected = np.asarray(theirs(picture)["pixel_values"], np.float32).reshape(3, 32, 32).transpose(1, 2, 0)
    found = picture * np.array(ours.scale) + np.array(ours.shift)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_newer_order_of_the_file(place: Path) -> None:
    usual = open_hub_extractor(str(place))
    (place / "preprocessor_config.json").unlink()
    (place / "processor_config.json").write_text(json.dumps({"image_processor": PREPROCESSOR, "tokenizer": {}}))
    assert open_hub_extractor(str(place)).fingerprint == usual.fingerprint
    video = {**PREPROCESSOR, "size": {"shortest_edge": 40}}
    (place / "video_preprocessor_config.json").write_text(json.dumps(video))
    assert open_hub_extractor(str(place)).views == (View(32, 32, 40),)
