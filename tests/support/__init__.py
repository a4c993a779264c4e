"""Helpers of the tests: small real servers, models and files."""
