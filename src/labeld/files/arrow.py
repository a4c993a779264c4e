"""pyarrow, or one sentence where the extra is not installed. Every module of this package imports it from here."""

from labeld.files.errors import FileError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq
except ImportError:
    raise FileError('Files are read and written with pyarrow, which is missing: pip install "labeld[files]".') from None

__all__ = ["pa", "pa_csv", "pc", "pq"]
