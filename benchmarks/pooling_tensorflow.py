"""The cases that run in TensorFlow: ours, what Keras and TensorFlow offer, and the floors."""

import importlib.util

import pooling_maps  # noqa: F401 (registers its cases)
import pooling_networks  # noqa: F401
import pooling_windows  # noqa: F401
import tensorflow as tf
from worker import THREADS, serve

if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    keras_cv = ["keras-cv"] if importlib.util.find_spec("keras_cv") else []
    serve(["spp_keras", "tensorflow", "keras", *keras_cv, "numpy"])
