"""Data sets of images of any size: records, size policies and the input pipeline.

Names load on first use, so that image files can be listed without TensorFlow.
"""

from typing import TYPE_CHECKING

from spp_keras import _lazy_names

if TYPE_CHECKING:
    from spp_keras.data.image_dataset import (
        image_dataset_from_directory as image_dataset_from_directory,
    )
    from spp_keras.data.pipeline import Pipeline as Pipeline
    from spp_keras.data.planned_batches import PlannedBatch as PlannedBatch
    from spp_keras.data.planned_batches import plan_batches as plan_batches
    from spp_keras.data.records import Records as Records
    from spp_keras.data.records import load_records as load_records
    from spp_keras.data.size_policies import Crop as Crop
    from spp_keras.data.size_policies import Warp as Warp
    from spp_keras.data.size_policies import Whole as Whole

_HOMES = {
    "Crop": "spp_keras.data.size_policies",
    "Pipeline": "spp_keras.data.pipeline",
    "PlannedBatch": "spp_keras.data.planned_batches",
    "Records": "spp_keras.data.records",
    "Warp": "spp_keras.data.size_policies",
    "Whole": "spp_keras.data.size_policies",
    "image_dataset_from_directory": "spp_keras.data.image_dataset",
    "load_records": "spp_keras.data.records",
    "plan_batches": "spp_keras.data.planned_batches",
}
__all__ = list(_HOMES)
__getattr__, __dir__ = _lazy_names.make_lazy(__name__, _HOMES)
