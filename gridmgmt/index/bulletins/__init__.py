"""Bulletins (通报) of the index: their figures, words, charts and papers, from a draft to the issue."""
