"""Splits by group, and the removal of what leaks between them."""
