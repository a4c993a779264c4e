"""Tests of labeld's openvino."""
