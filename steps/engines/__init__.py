"""Where the functions of curation run: in this process, or on Daft. The rows that come out are the same."""
