# One command per intent; `make` alone lists them. The work is done by the scripts in tools/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
# The intents share build directories and services: one after the other, whatever -j says.
.NOTPARALLEL:

# Arguments for ctest (`make test ARGS='-R Cursor'`) and for those of our programs that take some.
ARGS ?=
# How many `make sim` plays.
SEEDS ?= 20000
# How long `make demo` takes.
DEMO_MINUTES ?= 10

# --- first steps ------------------------------------------------------------------------------------------------------

.PHONY: help
help: ## list the intents
	@awk 'BEGIN { FS = ":.*## " } \
	    /^# --- / { gsub(/^# -+ | -+$$/, ""); printf "\n%s\n", $$0 } \
	    /^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: start-all
start-all: ## build, then start PostgreSQL, Kafka, Prometheus, Alertmanager and txstream in the background
	@tools/stack.sh up

.PHONY: stop-all
stop-all: ## end exactly what start-all started; data stays
	@tools/stack.sh down

.PHONY: demo
demo: ## ten minutes of orders while Kafka and a relay fail: is anything lost? With pictures (DEMO_MINUTES=2)
	@tools/deps.sh build run
	@tools/demo/demo.py --minutes $(DEMO_MINUTES) $(ARGS)

.PHONY: dev
dev: ## everything in one process, no JVM, nothing left behind; shows events as they arrive
	@tools/deps.sh build dev
	@tools/build.sh release
	@build/release/txstream dev $(ARGS)

.PHONY: deps
deps: ## install the Debian packages that are missing
	@tools/deps.sh

.PHONY: install-tools
install-tools: deps ## the same as deps

# --- build ------------------------------------------------------------------------------------------------------------

.PHONY: build
build: ## release build: build/release/txstream
	@tools/deps.sh build
	@tools/build.sh release

.PHONY: build-worker
build-worker: build ## the same as build: API and relay are one binary

.PHONY: release
release: build ## the same as build

.PHONY: dev-build
dev-build: ## build with ASan and UBSan: build/dev/txstream
	@tools/deps.sh build
	@tools/build.sh dev

.PHONY: web
web: ## the console's page: web/dist (make build embeds it)
	@tools/deps.sh build
	@TXSTREAM_WEB=required tools/web.sh build

.PHONY: web-dev
web-dev: ## the page from its sources, renewed as they change, before a console (CONSOLE_URL=http://127.0.0.1:8082)
	@tools/web.sh dev $(ARGS)

.PHONY: web-mock
web-mock: ## the same before made-up data: no server is needed
	@tools/web.sh mock $(ARGS)

# --- run --------------------------------------------------------------------------------------------------------------

.PHONY: run
run: ## the API in the foreground (starts the services it needs)
	@tools/stack.sh run api $(ARGS)

.PHONY: run-worker
run-worker: ## the relay in the foreground (starts the services it needs)
	@tools/stack.sh run relay $(ARGS)

.PHONY: migrate
migrate: ## apply the migrations to the stack's database
	@tools/stack.sh run migrate up $(ARGS)

.PHONY: status
status: ## what of the stack runs, where, and as which process
	@tools/stack.sh status

.PHONY: addresses
addresses: ## where everything is, and a link that opens the most useful graphs
	@tools/stack.sh addresses

.PHONY: health
health: ## ask the running API how it is
	@tools/stack.sh health

.PHONY: console
console: ## open the console: the link of the one that runs, or start it alone (with the services it needs)
	@tools/stack.sh console up

.PHONY: console-stop
console-stop: ## end the console that `make console` started
	@tools/stack.sh console down

.PHONY: logs
logs: ## follow the log of the txstream that start-all started
	@tools/stack.sh logs

.PHONY: dashboards
dashboards: ## write deploy/grafana/dashboards/*.json from the code in tools/dashboards
	@tools/deps.sh run
	@tools/dashboards/generate.py

.PHONY: dashboards-preview
dashboards-preview: ## draw the dashboards from a Prometheus, without Grafana, into var/dashboards (PROMETHEUS=url; ARGS='--from UNIX --to UNIX')
	@tools/deps.sh run
	@[ ! -e var/stack.env ] || . var/stack.env; \
	    tools/dashboards/preview.py --prometheus "$${PROMETHEUS:-http://127.0.0.1:$${STACK_PROMETHEUS_PORT:-9090}}" --out var/dashboards $(ARGS)

.PHONY: debug
debug: dev-build ## the API of the dev build under gdb, against the stack's services
	@command -v gdb >/dev/null || { echo "gdb is missing; install the Debian package gdb" >&2; exit 1; }
	@tools/stack.sh debug $(ARGS)

.PHONY: manifests
manifests: ## render deploy/kubernetes and deploy/helm into tests/deploy/golden, which a test compares (needs Go)
	@tools/manifests/render.py

# --- tests ------------------------------------------------------------------------------------------------------------

.PHONY: test
test: ## all tests, with a PostgreSQL and a Kafka of their own (ARGS for ctest)
	@tools/run_tests.sh $(ARGS)

.PHONY: test-unit
test-unit: ## the tests that need nothing but a build
	@tools/run_tests.sh --unit $(ARGS)

.PHONY: test-pg
test-pg: ## the tests that need PostgreSQL
	@tools/run_tests.sh -L '^pg$$' $(ARGS)

.PHONY: test-postgres
test-postgres: ## the tests that need PostgreSQL, and those of the built binary, with VERSION=14, 16, 17 or 18 of it
	@tools/run_tests.sh --postgres $(or $(VERSION),17) -L '^(pg|integration)$$' $(ARGS)

.PHONY: test-kafka
test-kafka: ## the tests that need Kafka
	@tools/run_tests.sh -L '^kafka$$' $(ARGS)

.PHONY: test-integration
test-integration: ## the tests of the built binary, from outside
	@tools/run_tests.sh -L '^integration$$' $(ARGS)

.PHONY: test-deploy
test-deploy: ## the manifests and the chart for Kubernetes: schemas, hardening, rendering
	@tools/run_tests.sh --deploy $(ARGS)

.PHONY: integration
integration: test-integration ## the same as test-integration

.PHONY: web-test
web-test: ## the page: lint, types, unit tests, size
	@tools/web.sh build
	@tools/web.sh test

.PHONY: sim
sim: ## storms of a simulated world, from seeds (SEEDS=1000000; SEED=n begins there; ARGS=--schedule prints what happens)
	@tools/deps.sh build
	@tools/build.sh release txs_sim
	@build/release/tests/sim/txs_sim --jobs 0 --first $(or $(SEED),1) --seeds $(SEEDS) $(ARGS)

.PHONY: sim-mutants
sim-mutants: ## take away the heart's guards, one at a time: each must be missed by a seed; some minutes (ARGS=word: those)
	@tools/deps.sh build
	@tools/sim_mutants.py $(ARGS)

.PHONY: test-tsan
test-tsan: ## unit and PostgreSQL tests under the thread sanitizer, but for those with a Kafka client
	@# It does not know threads made by thrd_create, as librdkafka's are, and crashes in them.
	@tools/run_tests.sh --preset tsan -L '^(unit|pg)$$' -E '^txs_(app|config)_test$$' $(ARGS)

.PHONY: test-coverage
test-coverage: ## line coverage per room, over all tests
	@tools/coverage.sh $(ARGS)

.PHONY: coverage
coverage: test-coverage ## the same as test-coverage

.PHONY: bench
bench: ## the benchmarks; figures go to var/bench/latest.json
	@tools/deps.sh
	@tools/build.sh release
	@bench/run $(ARGS)

# --- containers -------------------------------------------------------------------------------------------------------

.PHONY: docker-build
docker-build: ## the image txstream, with docker or podman; its bill of materials goes to build/container
	@tools/containers.sh build $(ARGS)

.PHONY: docker-run
docker-run: ## txstream in a container on the host's network (ARGS='api', settings from .env)
	@tools/containers.sh run $(ARGS)

.PHONY: compose-up
compose-up: ## compose.yaml: everything in containers, until it is healthy (ARGS='--profile observability')
	@tools/containers.sh up $(ARGS)

.PHONY: compose-down
compose-down: ## end it; its volumes stay (ARGS=--volumes removes them)
	@tools/containers.sh down $(ARGS)

.PHONY: test-containers
test-containers: ## build the image, run it and compose.yaml with podman and stand-ins for PostgreSQL and Kafka
	@TXSTREAM_CONTAINERS=on tools/run_tests.sh --containers $(ARGS)

.PHONY: test-image-compiler
test-image-compiler: ## unit, PostgreSQL and Kafka tests with the image's compiler and libraries (COMPILER=g++-14: with that one); many minutes
	@tools/run_tests.sh --rings $(or $(COMPILER),clang++-19)

# --- code -------------------------------------------------------------------------------------------------------------

.PHONY: fmt
fmt: ## format the C++ sources
	@tools/lint.sh --fix

.PHONY: lint
lint: ## formatting, clang-tidy on changed files (ARGS=--all: on every file), shellcheck, layers
	@tools/lint.sh $(ARGS)

.PHONY: check
check: lint test-unit ## lint and the unit tests: what to run before a commit

.PHONY: clean
clean: ## stop-all, then remove var/ and build/
	@tools/stack.sh clean
