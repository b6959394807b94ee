"""The class of our models: one network that takes images in every form."""
