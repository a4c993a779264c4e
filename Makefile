.PHONY: all environment lint test figures

all: environment lint test

environment: .venv/ready

.venv/ready: pyproject.toml
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test]'
	touch $@

lint:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

test:
	.venv/bin/pytest

figures:
	.venv/bin/python -m benchmarks figures
