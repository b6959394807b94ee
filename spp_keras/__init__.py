"""SPP-net in Keras: images of any size in, one vector out.

Importing this package loads neither TensorFlow nor Keras: each name below loads what it
needs when it is first used. `keras.models.load_model` knows our classes from then on.
"""

from typing import TYPE_CHECKING

from spp_keras import _lazy_names, _registration

__version__ = "0.2.0"

if TYPE_CHECKING:
    from spp_keras import comparison as comparison
    from spp_keras import conversion as conversion
    from spp_keras import data as data
    from spp_keras import detection as detection
    from spp_keras import evaluation as evaluation
    from spp_keras import export as export
    from spp_keras import geometry as geometry
    from spp_keras import image_summary as image_summary
    from spp_keras import layers as layers
    from spp_keras import metrics as metrics
    from spp_keras import models as models
    from spp_keras import ops as ops
    from spp_keras import packing as packing
    from spp_keras import recipes as recipes
    from spp_keras import report as report
    from spp_keras import serving as serving
    from spp_keras import training as training
    from spp_keras import zoo as zoo
    from spp_keras.comparison import compare_size_policies as compare_size_policies
    from spp_keras.conversion import any_size as any_size
    from spp_keras.conversion import register_rule as register_rule
    from spp_keras.data import image_dataset_from_directory as image_dataset_from_directory
    from spp_keras.evaluation import evaluate as evaluate
    from spp_keras.export import export_model as export_model
    from spp_keras.image_summary import summarize_images as summarize_images
    from spp_keras.model_geometry import map_geometry as map_geometry
    from spp_keras.models import features as features
    from spp_keras.runs import Run as Run
    from spp_keras.runs import load_run as load_run
    from spp_keras.runs import train as train
    from spp_keras.runs import train_detector as train_detector
    from spp_keras.serving import load_detector as load_detector
    from spp_keras.serving import load_predictor as load_predictor
    from spp_keras.serving import predict_images as predict_images
    from spp_keras.training import fine_tune as fine_tune
    from spp_keras.zoo import create_model as create_model
    from spp_keras.zoo import decode_predictions as decode_predictions
    from spp_keras.zoo import list_backbones as list_backbones
    from spp_keras.zoo import list_models as list_models
    from spp_keras.zoo import spp_classifier as spp_classifier

# Where each public name is; `None` for packages and modules. A test compares it with the above.
_HOMES = {
    **dict.fromkeys(("comparison", "conversion", "data", "detection", "evaluation", "export")),
    **dict.fromkeys(("geometry", "image_summary", "layers", "metrics", "models", "ops")),
    **dict.fromkeys(("packing", "recipes", "report", "serving", "training", "zoo")),
    **dict.fromkeys(("any_size", "register_rule"), "spp_keras.conversion"),
    **dict.fromkeys(("create_model", "decode_predictions"), "spp_keras.zoo"),
    **dict.fromkeys(("list_backbones", "list_models", "spp_classifier"), "spp_keras.zoo"),
    **dict.fromkeys(("Run", "load_run", "train", "train_detector"), "spp_keras.runs"),
    **dict.fromkeys(("load_detector", "load_predictor", "predict_images"), "spp_keras.serving"),
    "compare_size_policies": "spp_keras.comparison",
    "evaluate": "spp_keras.evaluation",
    "export_model": "spp_keras.export",
    "features": "spp_keras.models",
    "fine_tune": "spp_keras.training",
    "image_dataset_from_directory": "spp_keras.data",
    "map_geometry": "spp_keras.model_geometry",
    "summarize_images": "spp_keras.image_summary",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = _lazy_names.make_lazy(__name__, _HOMES)

_registration.register()
