"""An embedded dataset that needs what spatial pyramid pooling keeps.

Importing this registers `shapes` with TensorFlow Datasets.
"""

from spp_keras.data.shapes.shapes_dataset_builder import Builder as Builder
from spp_keras.data.shapes.shapes_dataset_builder import ShapesConfig as ShapesConfig
