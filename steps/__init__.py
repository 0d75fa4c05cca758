"""The stages of Tunesmith, one folder each: logic beside the `step.py` that hands it to ZenML."""
