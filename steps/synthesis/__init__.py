"""Documents to grounded instruction pairs, from the structure of the documents themselves."""
