"""Columns of texts in the tables of other libraries, and their answers in further columns."""
