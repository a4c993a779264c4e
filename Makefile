.PHONY: all environment lint test figures docs

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

# the site in site/; a warning fails it
docs: .venv/docs-ready
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

.venv/docs-ready: pyproject.toml .venv/ready
	.venv/bin/pip install -q -e '.[docs]'
	touch $@
