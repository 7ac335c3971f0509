# The same commands for laptop and CI. `make demo` and `make test` need Python 3.11, Java 17 (or newer) and Maven; they
# install everything else themselves.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do command -v $$p && break; done)
BIN := $(VENV)/bin
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes

.PHONY: demo up test unit check fuzz crash brokers kafka-versions charges deliveries overdue simulate fault outage rolling registry consumers upgrade soak bench format schemas reference contract docs helm chart pictures image image-test wheels kube-test \
	lock clean help

help:          ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: prerequisites $(VENV)/.runtime            ## run a day of payments with faults through the whole system and verify it (KAFKA=host:port, CONSOLE=1 keeps the console)
	$(BIN)/paynotify demo $(if $(CONSOLE),--console) $(ARGS)

up: prerequisites $(VENV)/.runtime              ## run the sandbox and its console until Ctrl-C
	$(BIN)/paynotify up --env build/sandbox.env $(ARGS)

# most tests wait for brokers, workers and timeouts; the slow ones run first
PROCESSES ?= 2
test: prerequisites $(VENV)/.documentation      ## run all tests on a real Apache Kafka
	$(BIN)/python -m tests.helm.tools
	$(BIN)/python -m tests.proxies.tools
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

unit: $(VENV)/.development                      ## run the fast tests, which need no services
	$(BIN)/python -m pytest tests/unit tests/contract $(ARGS)

INTERPRETERS ?= $(shell sh requirements/interpreters.sh)
.PHONY: interpreters
interpreters: prerequisites                     ## run the fast tests and a day of payments on each Python that is here (INTERPRETERS=)
	for python in $(INTERPRETERS); do \
		venv=build/interpreters/$$($$python -c 'import platform; print(platform.python_version())') && \
		echo "$$venv" && $(MAKE) --no-print-directory unit VENV=$$venv PYTHON=$$python && \
		$$venv/bin/python -m pytest tests/acceptance/test_day.py tests/integration/test_fence.py $(ARGS) || exit; done

check: $(VENV)/.development                     ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# a test usually has ten minutes; in the long forms as many as it was asked to take, or as building something takes
NO_TIME_LIMIT = --timeout=0
BUILDS = --timeout=3600

fuzz: $(VENV)/.development                      ## feed hostile input to every parser (INPUTS=1000000 for the long run)
	PAYNOTIFY_FUZZ_INPUTS=$(INPUTS) $(BIN)/python -m pytest tests/fuzz $(NO_TIME_LIMIT) $(ARGS)

crash: prerequisites $(VENV)/.development       ## kill a worker at every numbered step (`make test` runs a part)
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest tests/integration/test_crash.py tests/integration/test_orders_crash.py \
		tests/integration/test_settlement.py tests/acceptance/test_charge_crash.py $(ARGS)

brokers: prerequisites $(VENV)/.development     ## give the brokers other addresses, another cluster, tokens and sessions that end
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest tests/acceptance/test_kafka_rotation.py tests/acceptance/test_replaced_cluster.py tests/acceptance/test_broker_tokens.py \
		tests/acceptance/test_tool_rights.py $(ARGS)

VERSIONS ?= 3.7.2 3.8.1 3.9.1 4.0.1 4.1.1 4.2.0 4.3.1
kafka-versions: prerequisites $(VENV)/.development ## run a day of payments, fencing and tokens on each Kafka (VERSIONS=)
	for version in $(VERSIONS); do echo "Apache Kafka $$version"; PAYNOTIFY_KAFKA_VERSION=$$version $(BIN)/python -m pytest \
		tests/acceptance/test_day.py tests/acceptance/test_broker_tokens.py tests/integration/test_fence.py $(ARGS) || exit; done

charges: prerequisites $(VENV)/.development     ## charge while responses are lost and the worker is killed (CHARGES=10000)
	PAYNOTIFY_CHARGES=$(CHARGES) $(BIN)/python -m pytest -s tests/acceptance/test_charge_faults.py $(NO_TIME_LIMIT) $(ARGS)

deliveries: prerequisites $(VENV)/.development  ## call subscribers that fail while the process is killed (DELIVERIES=4000)
	PAYNOTIFY_DELIVERIES=$(DELIVERIES) $(BIN)/python -m pytest -s tests/integration/test_deliver.py $(NO_TIME_LIMIT) $(ARGS)

overdue: $(VENV)/.development                   ## poll overdue payments after an outage at a limited rate (ORDERS=100000)
	PAYNOTIFY_OVERDUE_ORDERS=$(ORDERS) $(BIN)/python -m pytest -s tests/unit/processors/orders/test_overdue_storm.py $(NO_TIME_LIMIT) $(ARGS)

simulate: $(VENV)/.development                  ## run the stages on simulated time, brokers and providers (SEED=, SECONDS=, SCHEDULE=)
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(NOTIFICATIONS),--notifications $(NOTIFICATIONS)) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(SCHEDULE),--schedule "$(SCHEDULE)") $(ARGS)

DURATION ?= 120
NODES ?= 1
fault: NOTIFICATIONS ?= 600
fault: prerequisites $(VENV)/.development       ## inject faults everywhere and verify that nothing is lost (DURATION=, NOTIFICATIONS=, SEED=, NODES=3)
	$(BIN)/python -m tests.fault --duration $(DURATION) --notifications $(NOTIFICATIONS) --nodes $(NODES) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

OUTAGE ?= 600
outage: prerequisites $(VENV)/.development      ## run without brokers for 10 minutes at 500 calls per second (OUTAGE=seconds)
	PAYNOTIFY_OUTAGE_SECONDS=$(OUTAGE) $(BIN)/python -m pytest -s tests/acceptance/test_ingress_faults.py -k refused_without_a_broker $(NO_TIME_LIMIT) $(ARGS)

HOURS ?= 1
soak: prerequisites $(VENV)/.development        ## run at half the peak load for hours, looking for leaks (HOURS=, SEED=)
	$(BIN)/python -m tests.soak --hours $(HOURS) $(if $(SEED),--seed $(SEED)) $(ARGS)

FROM ?= 126b77e
upgrade: prerequisites $(VENV)/.development     ## run workers of an earlier release beside those of this one (FROM=commit)
	PAYNOTIFY_UPGRADE_FROM=$(FROM) $(BIN)/python -m pytest tests/upgrade $(BUILDS) $(ARGS)

rolling: prerequisites $(VENV)/.development     ## measure how long partitions stall in a rolling restart of four workers (SEED=)
	$(BIN)/python -m tests.fault --workers 4 --static --fault rolling-restart --stall-seconds 15 --duration 60 \
		--notifications 1200 $(if $(SEED),--seed $(SEED)) $(ARGS)

registry: prerequisites $(VENV)/.development    ## register the schemas in a real registry over Kafka (downloads 110 MB)
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest -s tests/integration/test_schema_registry.py $(BUILDS) $(ARGS)

consumers: prerequisites $(VENV)/.development   ## kill the example consumers a hundred times; type the commands of docs/consume
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest -s tests/consume $(NO_TIME_LIMIT) $(ARGS)

.PHONY: browser
browser: prerequisites $(VENV)/.development     ## look at each page of the console in Debian's Chromium, in every way
	$(BIN)/python -m tests.browser.chromium
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest tests/browser $(NO_TIME_LIMIT) $(ARGS)

bench: prerequisites $(VENV)/.development       ## measure cost and latency, side by side with peers (BASE=commit compares)
	$(BIN)/python -m tests.bench $(if $(BASE),--base $(BASE)) $(ARGS)

.PHONY: console
PAYMENTS ?= 1000000
VIEWERS ?= 50
console: prerequisites $(VENV)/.development     ## measure a console over a million payments at 50 viewers (PAYMENTS=, VIEWERS=)
	$(BIN)/python -m tests.console_load --payments $(PAYMENTS) --viewers $(VIEWERS) $(ARGS)

format: $(VENV)/.development                    ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(VENV)/.development                   ## regenerate schemas/json and the chart's generated files
	$(BIN)/python -m paynotify.schemas.generate.json_schema
	$(BIN)/python -m paynotify.schemas.generate.connect_schema
	$(BIN)/python -m paynotify.schemas.generate.stream_tables
	$(BIN)/python -m helm.generate

reference: schemas                              ## regenerate the pages and pictures of docs/ that follow from the code too
	$(BIN)/python -m paynotify.schemas.generate.messages_page
	$(BIN)/python -m paynotify.ops.generate_cli
	$(BIN)/python -m paynotify.ops.generate_configuration
	$(BIN)/python -m paynotify.ops.generate_metrics
	$(BIN)/python -m paynotify.ops.generate_reasons
	$(BIN)/python -m paynotify.ops.generate_rights
	$(BIN)/python -m paynotify.ops.generate_http
	$(BIN)/python -m docs._site.draw

docs: reference $(VENV)/.documentation          ## regenerate them, and build the docs site into build/site; warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/site
	@echo "Open build/site/index.html"

# the npm tools that readers of the contract use; their versions are in requirements/contract
CONTRACT := schemas/json/asyncapi.json schemas/json/asyncapi-internal.json
OPENAPI := schemas/json/openapi.json schemas/json/openapi-console.json
contract: $(VENV)/.development                  ## open the contract in its readers' tools, compare it with the last release (needs npm)
	$(BIN)/python -m paynotify.schemas.generate.released
	mkdir -p build/contract && cp requirements/contract/* build/contract
	cd build/contract && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	node build/contract/parse.mjs $(CONTRACT)
	cd build/contract && npx redocly lint $(addprefix $(CURDIR)/,$(OPENAPI))
	cd build/contract && npx spectral lint --ruleset spectral.yaml --fail-severity=warn \
		$(addprefix $(CURDIR)/,$(CONTRACT) $(OPENAPI))

helm: $(VENV)/.development                      ## test the chart in every combination of install mode, Kubernetes, CRDs and Helm version
	$(BIN)/python -m tests.helm.tools
	PAYNOTIFY_LONG=1 $(BIN)/python -m pytest tests/helm $(NO_TIME_LIMIT) $(ARGS)

# of Helm's own options: KEY is a name in KEYRING, a file of `gpg --export-secret-keys`
HELM ?= helm
chart:                                          ## package the chart into build/chart (KEY=, KEYRING= sign, REGISTRY=oci://… pushes)
	rm -rf build/chart
	$(HELM) package helm/paynotify --destination build/chart $(if $(KEY),--sign --key "$(KEY)" --keyring "$(KEYRING)")
	$(if $(REGISTRY),$(HELM) push build/chart/*.tgz $(REGISTRY) $(PUSH))

MINUTES ?= 4
pictures: prerequisites $(VENV)/.development    ## draw the dashboards with data of a real Prometheus (MINUTES=), the report of a demo, and each page of the console
	$(BIN)/python -m tests.helm.tools
	$(BIN)/python -m tests.pictures --minutes $(MINUTES) $(ARGS)
	$(BIN)/paynotify demo --svg docs/explanation/demo.svg
	$(BIN)/python -m tests.browser.chromium
	PAYNOTIFY_PICTURES=docs/operations/console $(BIN)/python -m pytest tests/browser/test_pictures.py

# the first that works: docker's client may be here without its server
ENGINE ?= $(shell for e in docker podman buildah; do $$e info >/dev/null 2>&1 && echo $$e && break; done)
TARGET ?= product
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= paynotify$(if $(filter trial,$(TARGET)),-trial):$(VERSION)
# which commit an image is of; its time, not the build's, so that the same commit has the same labels
LABELS = --build-arg VERSION=$(VERSION) \
	--build-arg REVISION=$(shell git describe --match= --always --abbrev=40 --dirty 2>/dev/null) \
	--build-arg CREATED=$(shell git log -1 --format=%cI 2>/dev/null)
# SOURCE: a library that the build stage makes from its source; it does so anyway where there is no wheel for the machine.
# COMPILER: the Debian packages it needs for that, if they are not those of the Dockerfile
image: $(VENV)/.runtime                         ## build the image (TARGET=trial with the sandbox, BASE=, IMAGE=, ENGINE=)
	$(BIN)/python -m release.wheelhouse $(if $(SOURCE),--source $(SOURCE))
	$(ENGINE) build --target $(TARGET) --tag $(IMAGE) $(LABELS) $(if $(BASE),--build-arg BASE=$(BASE)) \
		$(if $(COMPILER),--build-arg COMPILER="$(COMPILER)") .

.PHONY: release
release: $(VENV)/.development                   ## build and check all that is published, into build/release (ENGINE= without images)
	$(BIN)/python -m tests.helm.tools
	$(BIN)/python -m release --helm "$$($(BIN)/python -c 'from tests.helm import tools; print(tools.helm(tools.HELMS[0]))')" --engine "$(ENGINE)" \
		$(if $(BASE),--image-option "BASE=$(BASE)")

image-test: prerequisites $(VENV)/.development  ## build the images without Docker and run them read-only
	$(BIN)/python -m pytest tests/image $(BUILDS) $(ARGS)

wheels: $(VENV)/.development                    ## ask which locked dependencies have wheels on x86-64 and ARM64, Python 3.11 to 3.14
	$(BIN)/python -m release.availability

kube-test: prerequisites $(VENV)/.development   ## test the chart and the trial on a real API server (needs Go)
	$(BIN)/python -m tests.helm.tools
	$(BIN)/python -m tests.kube.servers
	$(BIN)/python -m pytest tests/kube $(BUILDS) $(ARGS)

# what is locked stays as it is, as long as it fits; ARGS=--upgrade takes what is newest. Each lock begins with its command
lock: $(VENV)/.development                      ## pin all dependencies, with hashes (ARGS=--upgrade updates them)
	$(LOCK) --extra=console --extra=tracing --output-file=requirements/runtime.txt pyproject.toml requirements/build.in $(ARGS)
	for lock in image sbom sources development docs; do \
		$(LOCK) --output-file=requirements/$$lock.txt requirements/$$lock.in $(ARGS) || exit; done

clean:         ## remove all generated files except the Kafka cache
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: prerequisites
prerequisites:
	@sh requirements/prerequisites.sh "$(PYTHON)" "$(KAFKA)"

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml sandbox/pyproject.toml
	@sh requirements/prerequisites.sh "$(PYTHON)" no-kafka
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable ./sandbox
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements/development.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	@touch $@

$(VENV)/.documentation: $(VENV)/.development requirements/docs.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@
