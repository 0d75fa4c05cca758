"""Metrics, evaluation of a model on the test split, bootstrap intervals, and the gate that decides on promotion."""
