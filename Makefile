LABS := veth container conflict bridge routing
BIN := .venv/bin

.PHONY: help install dev demo test lint scripts golden bench against vm-test soak build clean

help: ## list what make can do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: ## make .venv with .venv/bin/cnetsh, and install missing system tools
	@sh setup.sh

dev: ## the same, with the tools of development
	@sh setup.sh dev

demo: install ## build, check and undo the article's labs in a sandbox
	@$(BIN)/cnetsh demo

test: lint ## all checks and tests, except soak
	@test -e /usr/bin/qemu-system-x86_64 || echo "make test: QEMU is not installed, so no VM is taken along"
	@# Three to a core of a small machine, for many of them wait for the kernel. Compiled tests are
	@# kept whatever the environment says, or each worker would compile all of them each time.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -m "not soak" -n 6 --dist worksteal

lint: dev ## ruff, mypy and shellcheck
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/shellcheck setup.sh .ci/run tests/vm/*.sh

scripts: install ## write scripts/N_lab.sh anew from the templates
	@set -e; n=0; for lab in $(LABS); do n=$$((n + 1)); $(BIN)/cnetsh script $$lab > scripts/$${n}_$$lab.sh; done

golden: dev ## write the expected texts in tests/golden and docs/lab-file.* anew (read the diff!)
	$(BIN)/python -m pytest -q -m "not kernel and not soak" --golden

bench: dev ## measure what planning and applying cost
	@$(BIN)/python tests/bench/run.py

against: dev ## measure `up` and `down` beside another checkout: make against OTHER=PATH
	@$(BIN)/python tests/bench/against.py $(OTHER)

vm-test: dev ## labs, examples, samples and breakages in VMs with four kernels, two at a time
	@printf '%s\n' 0:bullseye 1:bookworm 2:trixie 3:trixie-backports | xargs -P 2 -n 1 sh tests/vm/run.sh

soak: dev ## the long figures of the reliability battery
	$(BIN)/python -m pytest -m soak -s

build: dev ## wheel and source archive in dist/
	@$(BIN)/python -m hatchling build

clean: ## remove all that make has made here
	rm -rf .venv .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
