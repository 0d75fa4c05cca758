"""The page about a curated data set."""
