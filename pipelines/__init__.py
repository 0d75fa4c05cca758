"""The pipelines, their configuration and the command line."""
