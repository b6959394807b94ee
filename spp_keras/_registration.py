"""Registers our classes with Keras without importing Keras or the classes.

Keras loads a class of another package from a file only if it is registered. So as soon
as Keras is imported, before or after this package, its registry gets an entry for
each of our classes, which imports the class when a file names it.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

from spp_keras import _old_files

# Class -> module. A test compares them with the decorated classes.
CLASSES = {
    "AdaptiveAveragePooling2D": "spp_keras.layers.adaptive_pooling",
    "AdaptiveMaxPooling2D": "spp_keras.layers.adaptive_pooling",
    "AveragePooling2D": "spp_keras.conversion.sliding_layers",
    "BatchNormalization": "spp_keras.conversion.per_image_layers",
    "CellPlacements": "spp_keras.conversion.placement_layers",
    "Conv2D": "spp_keras.conversion.sliding_layers",
    "CropCanvases": "spp_keras.conversion.placement_layers",
    "DepthwiseConv2D": "spp_keras.conversion.sliding_layers",
    "Detector": "spp_keras.detection.detector",
    "GlobalAveragePooling2D": "spp_keras.conversion.per_image_layers",
    "GlobalMaxPooling2D": "spp_keras.conversion.per_image_layers",
    "GroupNormalization": "spp_keras.conversion.per_image_layers",
    "ImageModel": "spp_keras.models.image_model",
    "ImageSizes": "spp_keras.zoo.image_sizes",
    "LayerNormalization": "spp_keras.conversion.per_image_layers",
    "LearningRateMultiplier": "spp_keras.training.learning_rate_multiplier",
    "LocalResponseNormalization": "spp_keras.layers.local_response_normalization",
    "MaskCells": "spp_keras.conversion.placement_layers",
    "MaxPooling2D": "spp_keras.conversion.sliding_layers",
    "Normalization": "spp_keras.conversion.shared_normalization",
    "PadRagged": "spp_keras.layers.pad_ragged",
    "PerImage": "spp_keras.layers.per_image",
    "PerImageMetric": "spp_keras.training.objectives",
    "PerImageNoise": "spp_keras.conversion.per_image_layers",
    "RegionProposalNetwork": "spp_keras.detection.rpn",
    "ReverseChannels": "spp_keras.zoo.preprocessing",
    "RoIAlign": "spp_keras.layers.roi_pooling",
    "RoIPool": "spp_keras.layers.roi_pooling",
    "RoISpatialPyramidPooling": "spp_keras.layers.roi_spatial_pyramid_pooling",
    "SeparableConv2D": "spp_keras.conversion.sliding_layers",
    "SpatialPyramidPooling": "spp_keras.layers.spatial_pyramid_pooling",
    "SpreadToCells": "spp_keras.conversion.placement_layers",
    "UnitNormalization": "spp_keras.conversion.per_image_layers",
    "UnpackImages": "spp_keras.conversion.placement_layers",
}


def register() -> None:
    """Registers our classes with Keras: now if it is imported, else as soon as it is."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _register() -> None:
    from keras import saving

    entries: dict[str, Any] = {
        name: _LazyClass(module, name) for name, module in CLASSES.items()
    } | {name: _old_files.OldClass(name) for name in _old_files.OLD_CLASSES}
    for name, entry in entries.items():
        # A class that is imported already has registered itself.
        saving.get_custom_objects().setdefault(f"spp_keras>{name}", entry)


class _LazyClass:
    """An entry of Keras' registry that imports its class when a file names it."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def from_config(self, config: dict[str, Any]) -> Any:
        """Makes an instance. The import puts the class itself into Keras' registry."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)

    def __repr__(self) -> str:
        return f"<{self.module}.{self.name}, not imported yet>"


class _KerasFinder:
    """Finds Keras by the other finders, and registers our classes when its import ends."""

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        for finder in sys.meta_path:
            spec: Any = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _KerasLoader(spec.loader, self)
                return cast(ModuleSpec, spec)
        return None


class _KerasLoader:
    """The loader of Keras; it registers our classes at the end."""

    def __init__(self, loader: Any, finder: _KerasFinder):
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # Keras gets its own loader back, which knows its files and its source.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
