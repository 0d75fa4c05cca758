"""Chosen / rejected pairs: imported from data sets, or sampled from our own model and ranked."""
