"""Models as TensorFlow Serving loads them."""
