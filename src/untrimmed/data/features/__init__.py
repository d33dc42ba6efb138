"""Feature stores: npy, npz, hdf5, pt and safetensors behind one call.

    >>> store = open_features(Path("features/thumos14_i3d"))
    >>> store.read("video_test_0000004")  # [T, D], float32, finite

Nothing is ever unpickled, and a video id never leads out of its folder.
"""

from __future__ import annotations

from untrimmed.data.features.description import FeatureDescription
from untrimmed.data.features.opening import holds_one_array, open_features, read_feature_file, view_feature_file
from untrimmed.data.features.store import FeatureStore
from untrimmed.data.features.streams import ConcatenatedFeatures
from untrimmed.data.features.validation import (
    as_features,
    check_features,
    checked_dimension,
    row_range,
    transposition_hint,
)

__all__ = [
    "ConcatenatedFeatures",
    "FeatureDescription",
    "FeatureStore",
    "as_features",
    "check_features",
    "checked_dimension",
    "holds_one_array",
    "open_features",
    "read_feature_file",
    "row_range",
    "transposition_hint",
    "view_feature_file",
]
