"""Export of TFLite files."""
