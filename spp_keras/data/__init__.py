"""Data sets of images of any size: records, size policies and the input pipeline.

Names load on first use, so that image files can be listed without TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spp_keras.data.pipeline import Pipeline as Pipeline
    from spp_keras.data.records import Records as Records
    from spp_keras.data.records import load_records as load_records
    from spp_keras.data.size_policies import Crop as Crop
    from spp_keras.data.size_policies import Warp as Warp
    from spp_keras.data.size_policies import Whole as Whole

_HOMES = {
    "Crop": "spp_keras.data.size_policies",
    "Pipeline": "spp_keras.data.pipeline",
    "Records": "spp_keras.data.records",
    "Warp": "spp_keras.data.size_policies",
    "Whole": "spp_keras.data.size_policies",
    "load_records": "spp_keras.data.records",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
