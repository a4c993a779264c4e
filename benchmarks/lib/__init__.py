"""Parts that suites and the comparison share."""
