"""Video and image models of the Hugging Face hub, by name or from a folder.

transformers builds the models and loads their weights, from safetensors alone; no code of a model's authors is run.
The pictures are prepared here, as the model's preprocessor configuration says: transformers needs torchvision for it.
"""

from __future__ import annotations

from untrimmed.video.extractors.hub.extractors import HubClipExtractor, HubPictureExtractor, open_hub_extractor

__all__ = ["HubClipExtractor", "HubPictureExtractor", "open_hub_extractor"]
