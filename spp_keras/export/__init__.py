"""Export: models for TensorFlow Serving and TFLite, which need neither Keras nor this package."""

from spp_keras.export.model_export import export_model as export_model
