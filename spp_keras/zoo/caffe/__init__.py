"""Caffe networks and their weights, read into Keras models."""
