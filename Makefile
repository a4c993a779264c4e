.PHONY: all environment lint quick check test figures docs

QUICK = not (browser or container or minutes or node or postgres or ray or redis or server or slow or spark)

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

quick:
	.venv/bin/pytest -q -m "$(QUICK)"

# before each commit
check:
	$(MAKE) --no-print-directory -j2 lint quick

# before each push
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
