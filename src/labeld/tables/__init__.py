"""Texts in a column of a table, and their answers in further columns."""
