"""Metrics of classification and of detection."""
