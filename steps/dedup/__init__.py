"""Exact, near and semantic duplicates: one survivor per cluster, with evidence."""
