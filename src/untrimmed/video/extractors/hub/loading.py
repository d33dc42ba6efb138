"""Finding a model, and loading it without a word and without running anybody's code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from untrimmed.errors import MissingExtraError, ModelError
from untrimmed.video.extractors.hub.kinds import KINDS, Kind
from untrimmed.video.extractors.hub.preprocessing import Preprocessing, parse_preprocessing

_PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, eq=False)
class HubModel:
    """A model with all that is known of it.

    Attributes:
        name: what stands behind `hf:`, the name on the hub or the absolute path of a folder.
        kind: what is particular about it.
        config: of the part that sees.
        dimension: of its vectors.
        preprocessing: how pictures are prepared for it.
        network: in eval mode, in float32, on the CPU.
    """

    name: str
    kind: Kind
    config: Mapping[str, Any]
    dimension: int
    preprocessing: Preprocessing
    network: torch.nn.Module


def load_hub_model(name: str) -> HubModel:
    """Load a model of the hub (or of its cache, without a network) or of a folder.

    Args:
        name: such as `MCG-NJU/videomae-base`, or a folder. Where there is a folder of that name, it is taken.

    Raises:
        ModelError: if there is no such model, it is of an unsupported kind, its files are damaged, or do not fit each
            other.
        MissingExtraError: if transformers is not installed.
    """
    try:
        import transformers  # noqa: F401, PLC0415  an extra
    except ImportError as error:
        raise MissingExtraError("transformers", "hub", f"the extractor hf:{name}") from error
    folder = Path(os.path.expanduser(name))  # noqa: PTH111  Path's own raises where there is no such user
    is_folder = folder.is_dir()
    if is_folder:
        name = str(folder.absolute())
        if not (folder / "config.json").is_file():
            raise ModelError(f"hf:{name}: has no config.json. Give a folder that save_pretrained of transformers wrote")
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"hf:{name}: there is no such folder. Give a folder, or a name on the hub: OWNER/NAME")
    with _quiet():
        try:
            return _load(name, from_disk=True)
        except ModelError as error:
            if is_folder:
                raise
            on_disk = error
        # What is in the cache is used as it is: a frozen backbone should not change because its authors add a commit,
        # and without a network every question to the hub would take half a minute.
        try:
            return _load(name, from_disk=False)
        except _UnreachableError as error:
            raise error if isinstance(on_disk, _UnreachableError) else on_disk from error


class _UnreachableError(ModelError):
    """The model is not in the cache, and the hub cannot be asked."""


def _load(name: str, *, from_disk: bool) -> HubModel:
    """Load a model, from a folder or the cache alone if so asked."""
    import transformers  # noqa: PLC0415

    place = f"hf:{name}"
    with _reading(place):
        whole, _ = transformers.PretrainedConfig.get_config_dict(name, local_files_only=from_disk)
        kind = _kind(whole.get("model_type"), place)
        preprocessing = _preprocessing(name, whole["model_type"], from_disk=from_disk)
        network, info = getattr(transformers, kind.model).from_pretrained(
            name,
            local_files_only=from_disk,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=kind.attention,  # named, since one from a configuration could be code of the hub
            dtype=torch.float32,
            output_loading_info=True,
            **kind.options,
        )
    odd = sorted({*info["missing_keys"], *(str(key) for key in info.get("mismatched_keys", ()))})
    if odd:
        raise ModelError(f"{place}: the weights lack {odd[0]!r} or have it in another shape ({len(odd)} in all)")
    config = network.config.to_dict()
    dimension = int(config[kind.dimension])
    if kind.part is not None and kind.part in config:
        config = config[kind.part]
    _check_size(config, kind, preprocessing, place)
    return HubModel(name, kind, config, dimension, preprocessing, network.eval().requires_grad_(False))


def _kind(model_type: object, place: str) -> Kind:
    if not isinstance(model_type, str) or model_type not in KINDS:
        raise ModelError(
            f"{place}: is of the type {model_type!r}, which is not supported. These are: {', '.join(KINDS)}"
        )
    return KINDS[model_type]


def _preprocessing(name: str, model_type: str, *, from_disk: bool) -> Preprocessing:
    """Read the preprocessor configuration: that of videos, if there is one, else that of pictures."""
    from transformers.utils.hub import cached_file  # noqa: PLC0415

    for file in _PREPROCESSORS:
        path = cached_file(name, file, local_files_only=from_disk, _raise_exceptions_for_missing_entries=False)
        if path is None:
            continue
        place = f"hf:{name}: {file}"
        try:
            record = json.loads(Path(path).read_bytes())
        except ValueError as error:
            raise ModelError(f"{place}: is no JSON ({error}). Copy it again") from error
        for key in ("video_processor", "image_processor"):  # as newer files are ordered
            if isinstance(record, dict) and isinstance(record.get(key), dict):
                record = record[key]
                break
        if isinstance(record, dict):
            return parse_preprocessing(record, model_type, place)
        raise ModelError(f"{place}: expected an object, but found {type(record).__name__}")
    raise ModelError(
        f"hf:{name}: there is no {_PREPROCESSORS[1]}, so that size and normalisation of the pictures are not known. "
        "Copy the file of the model that this one was made of into the folder"
    )


def _check_size(config: Mapping[str, Any], kind: Kind, preprocessing: Preprocessing, place: str) -> None:
    size = config.get("image_size")
    sides = [size, size] if isinstance(size, int) else size
    view = preprocessing.view
    if not kind.any_size and sides and [*sides] != [view.height, view.width]:
        raise ModelError(
            f"{place}: the preprocessor makes pictures of {view.height} x {view.width}, but the model takes "
            f"{sides[0]} x {sides[1]}. Correct the size in its preprocessor configuration"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers silent, and the hub's bars for downloads where nobody would see them move."""
    from huggingface_hub import utils  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    log: Any = logging  # neither of them has types for all of this
    hub: Any = utils
    verbosity, loading_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    hub_verbosity, download_bar = hub.logging.get_verbosity(), not hub.are_progress_bars_disabled()
    log.set_verbosity_error()
    hub.logging.set_verbosity_error()
    log.disable_progress_bar()  # it silences downloads, too ...
    if download_bar and sys.stderr.isatty():
        hub.enable_progress_bars()  # ... which take long enough to be shown
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        hub.logging.set_verbosity(hub_verbosity)
        if loading_bar:
            log.enable_progress_bar()
        if download_bar:
            hub.enable_progress_bars()


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Make one ModelError of whatever transformers raises over a model that it cannot find or read."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise _explained(place, error) from error


def _explained(place: str, error: Exception) -> ModelError:
    """Say in one line why a model could not be loaded, and what to do."""
    from huggingface_hub import errors  # noqa: PLC0415

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)

    def is_due_to(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_due_to(errors.GatedRepoError):
        return ModelError(
            f"{place}: its authors want to be asked: accept their conditions on its page, then run: hf auth login"
        )
    if is_due_to(errors.RepositoryNotFoundError, errors.HFValidationError):
        return ModelError(
            f"{place}: there is no folder and no public model on the hub of this name. Correct it, or: hf auth login"
        )
    if is_due_to(errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, ConnectionError):
        return _UnreachableError(
            f"{place}: it is neither a folder nor in the cache, and the hub cannot be reached. Download it where there "
            "is a network (hf download NAME --local-dir FOLDER), and give hf:FOLDER"
        )
    reason = (str(error).strip() or "without a message").splitlines()[0]
    return ModelError(f"{place}: cannot be loaded ({type(error).__name__}: {reason})")
