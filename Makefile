# The verbs. Everything else is behind them: `make help` lists them, docs/ explains them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

# The stack that a verb works on. Whose API key is `lab` lives in the lab, in a region of its own; any other at Vultr.
STACK ?= lab
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# What is run a hundred times is compiled once, also where this stands in the environment, as in many an image.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the two commands ---------------------------------------------------------------------------------------

.PHONY: up
up: $(VENV)/.ready ## bring up the lab and the stack in it, and visit the site over IPv6 and IPv4 [STACK=swarm: three servers]
	@[ -n "$(in_lab)" ] || { echo "make up is the lab's; for stack $(STACK): pulumi up --stack $(STACK) (docs/quickstart.md)" >&2; exit 1; }
	@$(lab) up
	@$(call in_stack) $(RUN) -m operations up --stack $(STACK)
	@$(lab) visit

.PHONY: browse
browse: $(VENV)/.ready ## let your own browser reach the lab's sites by their names, and say what to click [PORT=8800]
	@$(lab) browse $(if $(PORT),--port $(PORT))

.PHONY: test
test: $(VENV)/.ready ## lint, types and tests: pure, mocks, engine, conformance, lab; what takes hours is make soak
	@$(MAKE) lint
	@$(tested) $(RUN) -m pytest tests -m 'not soak' --numprocesses 4 --dist loadscope --no-loadscope-reorder

.PHONY: down
down: ## remove every region of the lab on this machine (its caches stay: make clean)
	@[ -z "$(left)" ] || [ -x $(RUN) ] || \
		{ echo "$(VENV) is missing, and the lab goes by it; run: make $(VENV)/.ready $(or $(MAKECMDGOALS),down)" >&2; exit 1; }
	@for lab in $(dir $(wildcard .lab/*/run)); do $(RUN) -m lab --dir $$lab down; done
	@[ -z "$(left)" ] || $(RUN) -m lab --dir .lab down $(all)

# A folder of the lab's has `run` from its first verb on until it is taken down.
left = $(wildcard .lab/run .lab/*/run)
all =
clean: left = $(wildcard .lab)
clean: all = --all

# --- verbs on a stack: make VERB [STACK=prod] ----------------------------------------------------------------

.PHONY: status
status: $(VENV)/.ready ## how the hive is: servers, sites, jobs, backups, drift, and what to type [JSON=1]
	@$(call in_stack) $(RUN) -m operations status --stack $(STACK) $(if $(filter 1,$(JSON)),--json)

.PHONY: heal
heal: $(VENV)/.ready ## finish an update that was interrupted, whatever interrupted it
	@$(call in_stack) $(RUN) -m operations heal --stack $(STACK) $(agreed)

.PHONY: revive
revive: $(VENV)/.ready ## bring dead or deleted servers back with their IPv4: make revive SERVER=web1 (or "web1 web2") [YES=1]
	@$(call in_stack) $(RUN) -m operations revive --stack $(STACK) $(SERVER) $(agreed)

.PHONY: adopt
adopt: $(VENV)/.ready ## take zones and addresses that exist into the state: make adopt [ZONE=example.com] [ADDRESS=web1=192.0.2.1]
	@$(call in_stack) $(RUN) -m operations adopt --stack $(STACK) $(if $(ZONE),--zone $(ZONE)) \
		$(if $(ADDRESS),--address $(ADDRESS)) $(agreed) $(if $(filter 1,$(DELETE)),--delete)

.PHONY: retire
retire: $(VENV)/.ready ## save and delete servers that run on although the state is lost [YES=1] [LOSE=1: save nothing]
	@$(call in_stack) $(RUN) -m operations retire --stack $(STACK) $(agreed) $(if $(filter 1,$(LOSE)),--lose)

.PHONY: import-compose
import-compose: $(VENV)/.ready ## put compose files into a stack file: make import-compose FILES="..." [STACK=prod] [ARGS="..."]
	@$(RUN) -m operations from-compose $(FILES) $(if $(filter-out lab,$(STACK)),--into Pulumi.$(STACK).yaml) $(ARGS)

.PHONY: import-bee2
import-bee2: $(VENV)/.ready ## put Bee2's settings into a stack file: make import-bee2 FILE=conf/settings.yml [STACK=prod] [ARGS="..."]
	@$(RUN) -m operations from-bee2 convert $(FILE) $(if $(filter-out lab,$(STACK)),--stack $(STACK)) $(ARGS)

.PHONY: switch
switch: $(VENV)/.ready ## lead the names that Bee2 made to the stack's servers [YES=1] [ADDRESS=web1=192.0.2.1: keep it]
	@$(call in_stack) $(RUN) -m operations from-bee2 switch --stack $(STACK) \
		$(if $(ADDRESS),--keep-address $(ADDRESS)) $(agreed)

.PHONY: copy
copy: $(VENV)/.ready ## copy data of an old host: make copy FROM=old.example.org [WHAT="OLD=NEW db:shop=postgres ..."] [FINAL=1] [ARGS="..."]
	@$(call in_stack) $(RUN) -m operations copy --stack $(STACK) $(if $(filter 1,$(FINAL)),--final) $(ARGS) -- $(FROM) $(WHAT)

.PHONY: run
run: $(VENV)/.ready ## run a job again, in a fresh container: make run JOB=web1:hasetup
	@$(call in_stack) $(RUN) -m operations run --stack $(STACK) $(JOB)

.PHONY: start
start: $(VENV)/.ready ## start a job's stopped container again: make start JOB=web1:hasetup
	@$(call in_stack) $(RUN) -m operations start --stack $(STACK) $(JOB)

.PHONY: release
release: $(VENV)/.ready ## release what is new on the branch, or under the tag, of an application's image: make release APP=web1:shop
	@$(call in_stack) $(RUN) -m operations release --stack $(STACK) $(APP)

.PHONY: maintenance
maintenance: $(VENV)/.ready ## close an application to visitors, or open it: make maintenance APP=web1:shop [OFF=1] [LET_IN="203.0.113.7"]
	@$(call in_stack) $(RUN) -m operations maintenance --stack $(STACK) $(APP) $(if $(filter 1,$(OFF)),--off) \
		$(if $(LET_IN),--let-in $(LET_IN))

.PHONY: drain
drain: $(VENV)/.ready ## empty a server of the swarm without a failed request: make drain SERVER=web2 [OFF=1]
	@$(call in_stack) $(RUN) -m operations drain --stack $(STACK) $(SERVER) $(if $(filter 1,$(OFF)),--off)

.PHONY: recover
recover: $(VENV)/.ready ## where most managers of the swarm are lost, have one go on alone: make recover SERVER=web1
	@$(call in_stack) $(RUN) -m operations recover --stack $(STACK) $(SERVER)

.PHONY: backup
backup: $(VENV)/.ready ## save everything now [SERVER=web1] [ANEW=1 where its repository is lost]
	@$(call in_stack) $(RUN) -m operations backup --stack $(STACK) $(SERVER) $(if $(filter 1,$(ANEW)),--anew)

.PHONY: backups
backups: $(VENV)/.ready ## list what is saved: of what, when, how large, proved when [SERVER=web1] [ALL=1] [JSON=1]
	@$(call in_stack) $(RUN) -m operations backups --stack $(STACK) $(SERVER) $(if $(filter 1,$(ALL)),--all) \
		$(if $(filter 1,$(JSON)),--json)

.PHONY: restore
restore: $(VENV)/.ready ## put back what was saved: make restore WHAT=web1:shop [AT=2026-11-20] [TO=name] [YES=1]
	@$(call in_stack) $(RUN) -m operations restore --stack $(STACK) $(if $(AT),--at '$(AT)') $(if $(TO),--to '$(TO)') \
		$(agreed) -- '$(WHAT)'

.PHONY: drill
drill: $(VENV)/.ready ## try all that is saved, in throw-away containers, and write a page of it [SERVER=web1]
	@$(call in_stack) $(RUN) -m operations drill --stack $(STACK) $(SERVER)

.PHONY: recovery-kit
recovery-kit: $(VENV)/.ready ## print the page for a safe: all that brings the hive back on an empty machine
	@$(call in_stack) $(RUN) -m operations recovery-kit --stack $(STACK)

.PHONY: prune
prune: $(VENV)/.ready ## remove backups that are not kept any more [SERVER=web1]
	@$(call in_stack) $(RUN) -m operations prune --stack $(STACK) $(SERVER)

.PHONY: graph
graph: $(VENV)/.ready ## draw the stack's graph of resources as SVG
	@$(call in_stack) $(RUN) -m operations graph --stack $(STACK)

.PHONY: truth
truth: $(VENV)/.ready ## try what is known of the API on the real one: VULTR_API_KEY=... make truth [YES=1]
	@$(RUN) -m lab.truth $(agreed)

# The tests have a region of their own (.lab/test-*), with the caches of the lab.
tested = cli=$$($(RUN) -m lab prepare) && PATH=$(CURDIR)/$(VENV)/bin:$$cli:$$PATH

# Only YES=1 agrees beforehand to what would be asked.
agreed = $(if $(filter 1,$(YES)),--yes)

# A stack of the lab is reached through its region's environment.
in_lab = $(or $(filter lab,$(STACK)),$(shell grep -s '^  vultr:apiKey: lab$$' Pulumi.$(STACK).yaml))
lab = $(RUN) -m lab$(if $(filter-out lab,$(STACK)), --stack $(STACK))
in_stack = $(if $(in_lab),env=$$($(lab) env) && eval "$$env" &&)

# --- for work on Apiary itself -------------------------------------------------------------------------------

.PHONY: lint
lint: $(VENV)/.ready ## style, types, scripts, workflows, and the generated reference
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/shellcheck $$(git ls-files '*.sh') .ci/run
	@$(VENV)/bin/yamllint --strict .
	@$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(VENV)/bin/zizmor --offline --quiet .github/workflows
	@$(RUN) -m settings.reference | diff -u docs/configuration.md - || \
		{ echo "docs/configuration.md is not what the models say; run: make reference" >&2; exit 1; }

.PHONY: quick
quick: $(VENV)/.ready ## the tests that need neither engine nor lab: seconds
	@$(RUN) -m pytest tests/unit tests/provider tests/mocks

.PHONY: soak
soak: $(VENV)/.ready ## the tests that take long, with a summary [ONLY="moves tests/lab/test_jobs.py"] [RESUME=1]
	@$(tested) $(RUN) -m tests.soak $(if $(filter 1,$(RESUME)),--resume) $(ONLY)

.PHONY: reference
reference: $(VENV)/.ready ## write docs/configuration.md anew from the models
	@$(RUN) -m settings.reference > docs/configuration.md

.PHONY: lock
lock: $(VENV)/.ready ## write the requirements*.txt anew, with hashes and no address
	@for name in requirements requirements-dev toolchain/requirements; do \
		uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
			--python-version 3.11 --custom-compile-command 'make lock' $$name.in -o $$name.txt; \
	done

.PHONY: clean
clean: down ## down, and remove caches, images, tools and the virtual environment too
	@rm -rf .lab $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

# The mark is set last, so that an interrupted installation is never taken for whole.
$(VENV)/.ready: requirements-dev.txt
	@echo "==> Python packages into $(VENV) (hashes checked; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; install Python 3.11, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) can't make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt || \
		{ echo "the packages could not be installed (above); check the network, then run this again" >&2; exit 1; }
	@touch $@
