# Two commands are all there is: `make demo` and `make test`.
PYTHON ?= python3.11

.PHONY: demo test clean

demo: .venv/installed
	.venv/bin/salm-duplex build pipeline/data/dialogues.jsonl --out demo/corpus
	.venv/bin/salm-duplex inspect demo/corpus --out demo
	@echo
	@echo "Open demo/corpus/report.html, and listen to demo/*.wav (left: user, right: agent)."

test: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/pytest

# What the embedded defaults need, and nothing more.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --constraint constraints.txt --editable .
	touch $@

# Everything: all extras, and the tools that check the code.
.venv-test/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-test demo
