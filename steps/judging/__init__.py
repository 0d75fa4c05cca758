"""Scoring examples: an LLM judge with a rubric, or the embedded detector of defects."""
