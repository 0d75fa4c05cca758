"""Preparing a base model, supervised fine-tuning and preference alignment."""
