"""Export of SavedModels as TensorFlow Serving loads them."""
