"""Texts in files: rows read from csv, tsv, jsonl, parquet and arrow files with pyarrow, the extra labeld[files]."""
