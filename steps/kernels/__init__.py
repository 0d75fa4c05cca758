"""Compiled loops over Arrow buffers: no Python object per row, word or shingle.

A module here imports numba at its top, so it is imported inside the functions that need it. The compiled code is kept
in `__pycache__`, or in the folder that `NUMBA_CACHE_DIR` names where the installation cannot be written.
"""
