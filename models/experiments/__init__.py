"""The paper's tables and figures, made again: one file for each, all with the same frame."""
