# From nothing to a running server, a green suite, a checked tree. Wants Python 3.11 or newer and make; the rest it brings.
# A step runs when what it reads is newer than what it made, so an interrupted one is done again. The environment lives
# in .venv, with a stamp for each lock that is installed there, each on top of the one before.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

PY := .venv/bin/python
UV := $(shell command -v uv 2>/dev/null)
BROWSER_CODE := frontend/dist/manifest.json
TEXTS := $(patsubst %.po,%.mo,$(shell find config rooms schema -name '*.po'))
STATIC_FILES := staticfiles/manifest.json
READY := $(BROWSER_CODE) $(TEXTS) $(STATIC_FILES)
PEERS := tests/bench/peers
DOCUMENT_TOOLS := tests/end_to_end/documents

# An environment whose Python is gone, after an upgrade say, is made again.
$(shell [ ! -e .venv ] || $(PY) -c '' 2>/dev/null || rm -f .venv/made .venv/run .venv/test .venv/check .venv/bench)

.PHONY: help run build test check format schema lock chaos bench clean browser pgbouncer
help: ## list what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

run: .venv/run $(READY) ## serve on http://127.0.0.1:8000 (PORT=… and HOST=…, before or after, for another place)
	@$(PY) manage.py first_run
	@exec $(PY) manage.py serve

build: .venv/run $(READY) ## make all that a server needs, and start none

test: .venv/test browser pgbouncer $(DOCUMENT_TOOLS)/node_modules/installed $(READY) ## run all tests: TypeScript, then Python on PostgreSQL, and beside it on SQLite
	@$(PY) -m pytest --database=sqlite -m 'not end_to_end' -o cache_dir=.venv/sqlite_cache >.venv/sqlite.log 2>&1 & sqlite=$$!; \
	trap 'kill $$sqlite 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	( $(call npm,run --silent test) ) && $(PY) -m pytest; status=$$?; \
	wait $$sqlite || status=1; trap - EXIT; \
	echo 'The same on SQLite, which ran beside it:'; cat .venv/sqlite.log; exit $$status

check: .venv/check .venv/bench $(READY) ## find what is wrong without running it: style, types, layers, migrations, schema
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo
	$(PY) manage.py makemigrations --check --dry-run
	@$(PY) manage.py export_schema schema.schema:schema --path .venv/schema.graphql
	diff -u schema/schema.graphql .venv/schema.graphql
	@$(call npm,run --silent check)

format: .venv/check ## lay out the Python code, and mend what can be mended
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

schema: .venv/run ## write schema/schema.graphql anew
	$(PY) manage.py export_schema schema.schema:schema --path schema/schema.graphql

chaos: .venv/test $(READY) ## let one fault after another befall two servers (ARGS=--list names them, ARGS='--only Redis' takes some)
	@$(PY) -m tests.chaos $(ARGS)

bench: .venv/bench $(PEERS)/node_modules/installed $(READY) ## measure Salas and its peers, in turn (ARGS=--help tells what may be chosen)
	@$(PY) -m tests.bench $(ARGS)

clean: ## remove what was built and installed; databases, keys and settings stay
	rm -rf .venv frontend/node_modules frontend/dist staticfiles $(PEERS)/node_modules $(DOCUMENT_TOOLS)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find config rooms schema server tests -name __pycache__ -prune -exec rm -rf {} +
	find config rooms schema -name '*.mo' -exec rm {} +

browser: .venv/test
	@$(PY) -m tests.services.chromium

pgbouncer: .venv/test browser
	@$(PY) -m tests.services.pgbouncer

# Locks: uv writes them, pip and uv install them. UPGRADE=--upgrade takes newer versions.
LOCK = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)
lock: ## write requirements/*.txt anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@[ -n '$(UV)' ] || { echo 'uv is missing: `python3 -m pip install uv`, or see its site for other ways'; exit 1; }
	$(LOCK) pyproject.toml --group build -o requirements/run.txt
	$(LOCK) pyproject.toml --group build --group test -c requirements/run.txt -o requirements/test.txt
	$(LOCK) pyproject.toml --group build --group test --group check -c requirements/test.txt -o requirements/check.txt
	$(LOCK) --group bench -c requirements/check.txt -o requirements/bench.txt
	$(LOCK) --group node -o requirements/node.txt

# The Python environment
define FIND_PYTHON
for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
done
endef

.venv/made:
	@if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(FIND_PYTHON); \
		if [ -n '$(UV)' ]; then \
			echo "Making .venv …"; rm -rf .venv; '$(UV)' venv -q --python "$${python:->=3.11}" .venv; \
		elif [ -z "$$python" ]; then \
			echo 'Python 3.11 or newer is missing: install it, or name it with PYTHON=/path/to/python3' >&2; exit 1; \
		elif ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
			echo "$$python lacks venv: \`sudo apt-get install python3-venv\` (Debian, Ubuntu) brings it" >&2; exit 1; \
		else \
			echo "Making .venv …"; "$$python" -m venv --clear .venv; \
		fi; \
	fi
	@touch $@

.venv/run: requirements/run.txt .venv/made
	@echo 'Installing what Salas needs …'
	@$(call install,$<)
	@touch $@

.venv/test: requirements/test.txt .venv/run
	@echo 'Installing what the tests need …'
	@$(call install,$<)
	@touch $@

.venv/check: requirements/check.txt .venv/test
	@echo 'Installing what the checks need …'
	@$(call install,$<)
	@touch $@

.venv/bench: requirements/bench.txt .venv/test
	@echo 'Installing what the benchmark needs …'
	@$(call install,$<)
	@touch $@

ifdef UV
install = '$(UV)' pip install -q --python $(PY) --no-deps --require-hashes -r $(1)
else
install = { $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null; } && \
	$(PY) -m pip install -qq --disable-pip-version-check --no-input --no-compile --no-deps --require-hashes -r $(1)
endif

# The front end. Node comes from PyPI where there is none, or one that Vite is too new for.
NODE_SERVES = node -e 'const [a, b] = process.versions.node.split(".").map(Number); \
	process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1
npm_in = PATH="$(CURDIR)/.venv/bin:$$PATH"; { $(NODE_SERVES); } || { echo 'Installing Node …'; $(call install,requirements/node.txt); } && \
	cd $(1) && npm --no-progress $(2)
npm = $(call npm_in,frontend,$(1))

frontend/node_modules/installed: frontend/package-lock.json frontend/package.json .venv/run
	@echo 'Installing what the front end needs …'
	@$(call npm,ci --no-audit --no-fund --loglevel=error >/dev/null)
	@touch $@

$(PEERS)/node_modules/installed: $(PEERS)/package-lock.json $(PEERS)/package.json .venv/run
	@echo 'Installing the peers that Salas is measured with …'
	@$(call npm_in,$(PEERS),ci --no-audit --no-fund --loglevel=error >/dev/null)
	@touch $@

$(DOCUMENT_TOOLS)/node_modules/installed: $(DOCUMENT_TOOLS)/package-lock.json $(DOCUMENT_TOOLS)/package.json .venv/run
	@echo 'Installing the tools that list documents …'
	@$(call npm_in,$(DOCUMENT_TOOLS),ci --no-audit --no-fund --loglevel=error >/dev/null)
	@touch $@

$(BROWSER_CODE): frontend/node_modules/installed $(shell find frontend/src frontend/public -type f) $(wildcard frontend/*.ts frontend/*.json)
	@echo 'Building the front end …'
	@$(call npm,run --silent build >/dev/null)
	@touch $@

# Those of the page, GraphiQL and the admin, each beside its gzip and Brotli. What pages that are open now may still ask
# for stays.
$(STATIC_FILES): $(BROWSER_CODE) .venv/run
	@echo 'Compressing the static files …'
	@$(PY) manage.py collectstatic --noinput --verbosity 0
	@touch $@

%.mo: %.po .venv/run
	@$(PY) -c 'import sys, polib; polib.pofile(sys.argv[1]).save_as_mofile(sys.argv[2])' $< $@
