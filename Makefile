# Every target sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: ## Bring uv, Python 3.13, the locked packages, Node and Azurite (into .venv and .tools)
	@infra/toolchain/setup.sh

.PHONY: run
run: setup ## Start the registry and its storage in the foreground: PORT= DATA= FRONT= REGISTRY_NAME= REGISTRY_ADMIN_PASSWORD=
	@exec $(BIN)/python -m infra.local

.PHONY: check
check: setup ## The quick round, under a minute: format, lint, types, imports, unit and property tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/unit tests/functions tests/property

.PHONY: test
test: setup ## All tests; installs the clients they drive where it may
	@infra/toolchain/clients.sh
	@infra/toolchain/go_clients.sh
	@$(BIN)/pytest -n auto --dist loadgroup
	@if command -v functions-front > /dev/null; \
	then $(BIN)/pytest -n auto --dist loadgroup --behind-front tests/conformance tests/protocol; \
	else echo "Not tested behind Microsoft's front: functions-front is not on PATH" >&2; fi

.PHONY: soak
soak: setup ## Let many clients act at once, in calm, and a hundredth of it in each weather: OPERATIONS=100000 SEED=1
	@$(BIN)/pytest -s -m soak $(if $(OPERATIONS),--operations=$(OPERATIONS)) $(if $(SEED),--seed=$(SEED)) tests/soak

.PHONY: conformance
conformance: setup ## Run the OCI conformance program, which you bring: PROGRAM=path/to/binary PROGRAM_COMMIT=id FRONT=
	@$(BIN)/python -m tests.conformance.program "$(PROGRAM)" $(if $(PROGRAM_COMMIT),--commit=$(PROGRAM_COMMIT)) $(if $(FRONT),--front=$(FRONT))

.PHONY: image
image: setup ## Make the OCI image of the registry's own host, in build/ (as root)
	@infra/image/make.sh

.PHONY: lock
lock: setup ## Compile pyproject.toml into the locks: requirements.txt, also of infra/admin and tests
	@infra/toolchain/lock.sh

.PHONY: package
package: setup ## Make the zip that Azure Functions runs: build/registry.zip, and the same unpacked
	@$(BIN)/python -m infra.package
