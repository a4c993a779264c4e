"""A model measured against labels: metrics with intervals, thresholds, calibration, and paired tests of two models."""
