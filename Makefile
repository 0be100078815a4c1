# One command for people and for CI. Needs a POSIX shell, make and Python 3.11 or newer.
.POSIX:
.PHONY: help demo test check check-style check-types check-imports check-repeated check-security check-audit check-docs docs pictures audit lock fuzz fuzz-cost fuzz-door fuzz-files matrix bench soak crash simulate clean

BIN = .venv/bin
DEMO = .venv/installed-demo
DEV = .venv/installed-dev
NODE = examples/node-producer
NODE_MODULES = $(NODE)/node_modules/.package-lock.json
AXE = tests/browser
AXE_MODULES = $(AXE)/node_modules/.package-lock.json

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO) ## Try it, with nothing else to install [INPUT=file.csv] [ARGS=...]
	@$(BIN)/recommender demo $${INPUT:+--input "$$INPUT"} $(ARGS)

test: $(DEV) ## Run every test [ARGS="-k name"]
	@if command -v npm >/dev/null; then $(MAKE) $(NODE_MODULES) $(AXE_MODULES); else echo "no npm: Node.js tests are skipped"; fi
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

check: $(DEV) ## Lint, format, types, import directions, repeated code, security, the documentation
	@$(MAKE) -j 2 check-types check-style check-imports check-repeated check-security check-audit check-docs

check-style:
	$(BIN)/ruff check
	$(BIN)/ruff format --check

check-types:
	$(BIN)/mypy --strict

check-imports:
	$(BIN)/lint-imports

check-repeated:
	$(BIN)/pylint recommender/recommender_engine workers/celery_recommender

check-security:
	$(BIN)/python -m bandit --quiet --configfile pyproject.toml --recursive recommender workers

check-audit:
	@sh tools/audit.sh --if-possible

check-docs:
	$(BIN)/python -m tools.site

docs: $(DEV) ## Build the documentation as a site with search, in build/docs/site
	@$(BIN)/python -m tools.site

pictures: $(DEV) ## Take the pictures of docs/images anew, from the browser tests
	@$(BIN)/pytest tests/browser
	@for picture in docs/images/*.png; do cp tests/browser/artifacts/$${picture##*/} docs/images/; done

audit: $(DEV) ## Look for known vulnerabilities in what the image is locked to
	@sh tools/audit.sh

lock: $(DEV) ## Write deploy/requirements*.lock anew
	@$(BIN)/python -m pip install --quiet uv
	@PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python tools/lock.py

fuzz-files: $(DEV) ## Change files of every kind at random places, and read them [SECONDS=300]
	@$(BIN)/python tools/fuzz_files.py $${SECONDS:-300}

fuzz: $(DEV) ## Feed the decoder and the policy parser whatever comes [SECONDS=300]
	@$(BIN)/python -m pip install --quiet --editable ".[fuzz]"
	@$(BIN)/python tools/fuzz.py $${SECONDS:-300}

fuzz-door: $(DEV) ## Append whatever comes to a real stream, by users that may [SECONDS=300 SEED=0]
	@$(BIN)/python -m tests.faults.strangers --seconds $${SECONDS:-300} --seed $(SEED)

fuzz-cost: $(DEV) ## Look for texts that cost more than their size [SECONDS=300]
	@$(BIN)/python -m tests.support.costs $${SECONDS:-300}

matrix: $(DEV) ## Run the broker's tests under other releases of Celery, redis-py, Redis and Python [ARGS=--python]
	@$(BIN)/python tools/matrix.py $(ARGS)

bench: $(DEV) ## Run the benchmarks, beside peers: an hour or so [ARGS="--items 200 --rounds 1"]
	@$(BIN)/python -m benchmarks all $(ARGS)

soak: $(DEV) ## A million commands through one worker: memory must stay flat [N=1000000] [ARGS="--minutes 30"]
	@$(BIN)/python -m benchmarks.soak --commands $${N:-1000000} $(ARGS)

TRIALS = 1000
SEED = 0
MODEL = deterministic
SERVER = embedded
JOBS = 1
crash: $(DEV) ## Kill workers and servers at named points [TRIALS= SEED= MODEL=real SERVER=redis-server JOBS=]
	@$(BIN)/python -m tests.faults.crash \
		--trials $(TRIALS) --seed $(SEED) --model $(MODEL) --server $(SERVER) --jobs $(JOBS) $(ARGS)

simulate: $(DEV) ## The same with the engine alone, in one process [TRIALS= SEED=]
	@$(BIN)/python -m tests.faults.simulate --trials $(TRIALS) --seed $(SEED) $(ARGS)

clean: ## Remove everything that the other targets made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(NODE)/node_modules $(AXE)/node_modules $(AXE)/artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEMO): pyproject.toml tools/setup.sh
	@sh tools/setup.sh demo
	@touch $(DEMO)

$(DEV): pyproject.toml tools/setup.sh
	@sh tools/setup.sh dev
	@touch $(DEV) $(DEMO)

$(NODE_MODULES): $(NODE)/package.json $(NODE)/package-lock.json
	cd $(NODE) && npm ci --no-fund --no-audit
	@touch $(NODE_MODULES)

$(AXE_MODULES): $(AXE)/package.json $(AXE)/package-lock.json
	cd $(AXE) && npm ci --no-fund --no-audit
	@touch $(AXE_MODULES)
