"""Files and data sets in; documents, examples and preferences out, with a ledger row for everything that came in."""
