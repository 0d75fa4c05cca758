"""Rule filters: length, keywords, formats, turns, repetition, refusals."""
