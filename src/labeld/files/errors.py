"""Failures of files. The base class and general failures are in labeld/errors.py."""

from labeld.errors import LabeldError


class FileError(LabeldError):
    """A file of the caller's cannot be read or written, as a whole or from some row on; the sentence names it."""
