"""The manifests and the chart, as they are rendered, against the schemas of Kubernetes' API, rules for hardening, and the binary.

It reads the golden files, and needs neither helm nor kustomize: that they are what these make is the business of test_render.py.
"""
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from rendered import GOLDEN, PODS, RELEASES, ROOT

BINARY = os.environ["TXSTREAM_BIN"]
CHECKOV = ROOT / "tests/deploy/checkov.yaml"
# The oldest that the chart accepts, and the newest whose schemas the validator has.
VERSIONS = ["1.31", "1.37"]
# libpq reads these itself; docs/configuration.md says so.
LIBPQ = {"PGSSLROOTCERT"}
PROBED = {"api": "/readyz", "relay": "/readyz", "console": "/livez"}
LISTENS = {"api": ("SERVER_HOST", "SERVER_PORT"), "relay": ("METRICS_HOST", "METRICS_PORT"), "console": ("CONSOLE_HOST", "CONSOLE_PORT")}
LEAST = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
each_pod = pytest.mark.parametrize("pod", PODS, ids=repr)
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda one: one.name)
SERVING = [pod for pod in PODS if pod.command != "migrate"]


@pytest.fixture(scope="session")
def python():
    """A Python with checkov and kubernetes-validate."""
    made = subprocess.run([ROOT / "tools/venv.sh", ROOT / "tools/manifests/requirements.txt"], stdout=subprocess.PIPE, text=True, check=True)
    return made.stdout.strip()


@pytest.fixture(scope="session")
def settings():
    """Every setting of the binary: is it a secret?"""
    page = subprocess.run([BINARY, "config", "docs"], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+)( \(secret\))? \|", page, re.M)
    return {name: bool(secret) for names, secret in rows for name in re.findall(r"\w+", names)}


def duration(text):
    [(number, unit)] = re.findall(r"^(\d+)(s|m)$", text)
    return int(number) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes_accept_every_object(python, version):
    done = subprocess.run([python, "-m", "kubernetes_validate", "--strict", "--quiet", "-k", version, *GOLDEN],
                          capture_output=True, text=True, timeout=300, check=False)
    said = done.stdout.splitlines() + done.stderr.splitlines()
    # What no schema is found for is not checked: only the kind of the Prometheus Operator may be so.
    unexpected = [line for line in said if "Couldn't find schema for kind ServiceMonitor" not in line]
    assert done.returncode == 0 and not unexpected, unexpected


def test_the_rules_for_hardening_hold_and_each_exception_is_needed_and_has_a_reason(python):
    exceptions = yaml.safe_load(CHECKOV.read_text())["skip-check"]
    lines = CHECKOV.read_text().splitlines()
    for rule in exceptions:
        above = lines[next(number for number, line in enumerate(lines) if rule in line) - 1]
        assert re.match(r" +# \w.{20}", above), f"{rule} has no reason"
    # Without the exceptions, so that one run shows which of them are needed.
    done = subprocess.run(
        [python, "-m", "checkov.main", "--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json",
         *[word for path in GOLDEN for word in ("--file", path)]],
        stdout=subprocess.PIPE, text=True, timeout=300, check=False, cwd=ROOT / "tests/deploy/golden")
    found = json.loads(done.stdout)
    assert found["summary"]["parsing_errors"] == 0 and found["summary"]["passed"] > 1000
    broken = {(one["check_id"], one["file_path"], one["resource"]) for one in found["results"]["failed_checks"]}
    assert [one for one in sorted(broken) if one[0] not in exceptions] == []
    assert {rule for rule, *_ in broken} == set(exceptions), "an exception that nothing needs"


@each_pod
def test_a_pod_fits_the_restricted_profile_and_gets_nothing_that_it_does_not_need(pod):
    assert pod.spec["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod.container["securityContext"] == LEAST
    assert pod.spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod.spec)
    # The group reads; others may not, or the binary refuses keys and tokens.
    assert all(volume["secret"]["defaultMode"] == 0o440 for volume in pod.spec["volumes"])


@each_pod
def test_a_pod_sets_only_settings_that_the_binary_has_and_no_secret_as_a_value(pod, settings):
    for name in pod.environment():
        if name in LIBPQ:
            continue
        if name.removesuffix("_FILE") in settings and name not in settings:
            assert settings[name.removesuffix("_FILE")], f"{name}: no secret, so no file"
        else:
            assert name in settings, f"{name} is unknown"
            assert not settings[name], f"{name} is a secret"


@each_pod
def test_the_binary_accepts_the_environment_of_a_pod(pod, tmp_path):
    environment = pod.environment()
    mounted = pod.files()
    for path in mounted:
        file = tmp_path / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a-secret\n")
        file.chmod(0o440)
    here = {}
    for name, value in environment.items():
        if value.startswith("/run/secrets"):
            assert value in mounted, f"{name} names a file that is not mounted"
            value = str(tmp_path / value.removeprefix("/"))
        here[name] = value
    assert mounted.keys() <= set(environment.values()), "a file that no setting names"
    # librdkafka reads its certificates when a client is made: what a word in a file cannot be.
    for name in ("KAFKA_SSL_CA_LOCATION", "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"):
        here.pop(name, None)
    done = subprocess.run([BINARY, "config", "check"], env=here, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_service_named_kafka_does_not_break_the_settings_of_a_pod(tmp_path):
    links = {"KAFKA_SERVICE_HOST": "192.0.2.1", "KAFKA_PORT": "tcp://192.0.2.1:9092"}
    done = subprocess.run([BINARY, "config", "check"], env=links, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "KAFKA_PORT is unknown" in done.stderr
    assert [pod for pod in PODS if pod.spec["enableServiceLinks"] is not False] == []


@pytest.mark.parametrize("pod", SERVING, ids=repr)
def test_probes_ask_where_the_process_listens_and_liveness_never_depends_on_others(pod):
    environment = pod.environment()
    host, port = (environment[name] for name in LISTENS[pod.command])
    assert (host, int(port)) == ("0.0.0.0", pod.port()["containerPort"])
    probes = pod.probes()
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": PROBED[pod.command]}
    has_tls = "CONSOLE_TLS_CERT_FILE" in environment
    for probe in probes.values():
        assert probe["port"] == pod.port()["name"]
        assert probe.get("scheme", "HTTP") == ("HTTPS" if has_tls else "HTTP")
    # A process waits 30 s for its database at the start, and then says why it ends; /readyz looks at the database for 2 s.
    startup, ready = pod.container["startupProbe"], pod.container["readinessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > 30
    assert ready["timeoutSeconds"] > 2


@pytest.mark.parametrize("pod", SERVING, ids=repr)
def test_a_pod_that_ends_has_the_time_that_its_process_may_take(pod):
    environment = pod.environment()
    longest = duration(environment.get("SHUTDOWN_DELAY", "0s")) + duration(environment["SHUTDOWN_TIMEOUT"]) + 2
    assert longest < pod.spec["terminationGracePeriodSeconds"] <= longest + 5


@each_release
def test_each_selector_finds_one_part_and_each_port_that_is_named_is_there(release):
    for deployment in release.kind("Deployment"):
        [pod] = release.selected(deployment["spec"]["selector"]["matchLabels"])
        assert pod.owner is deployment
    services = {}
    for service in release.kind("Service"):
        [pod] = release.selected(service["spec"]["selector"])
        [port] = service["spec"]["ports"]
        assert port["targetPort"] == pod.port()["name"]
        services[pod.command] = service
    for budget in release.kind("PodDisruptionBudget"):
        [pod] = release.selected(budget["spec"]["selector"]["matchLabels"])
        assert pod.command in ("api", "relay")
        # A node is drained whether its Pods are ready or not.
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for monitor in release.kind("ServiceMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"]
        [service] = [one for one in services.values() if labels.items() <= one["metadata"]["labels"].items()]
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        job, outbox = endpoint["relabelings"]
        assert job == {"targetLabel": "job", "replacement": "txstream-" + service["spec"]["selector"]["app.kubernetes.io/component"]}
        assert outbox["targetLabel"] == "outbox"
    if "relay" in services:
        assert services["relay"]["spec"]["publishNotReadyAddresses"] is True


@each_release
def test_every_pod_has_a_network_policy_that_opens_what_it_needs_and_nothing_else(release):
    policies = {}
    for policy in release.kind("NetworkPolicy"):
        if policy["spec"]["policyTypes"] == ["Ingress", "Egress"]:
            [pod] = release.selected(policy["spec"]["podSelector"]["matchLabels"])
            policies[pod.command] = policy["spec"]
    assert policies.keys() == {pod.command for pod in release.pods()}
    for command, policy in policies.items():
        [pod] = [one for one in release.pods() if one.command == command]
        assert ("ingress" in policy) == (command in ("api", "console"))
        for rule in policy.get("ingress", []):
            assert rule["from"] and [port["port"] for port in rule["ports"]] == [pod.port()["name"]]
        opened = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert all(rule["ports"] for rule in policy["egress"])
        environment = pod.environment()
        wanted = {int(one) for one in environment["DATABASE_PORT"].split(",")} | {53}
        brokers = {int(one.rsplit(":", 1)[1]) for one in environment.get("KAFKA_BROKERS", "").split(",") if one}
        assert wanted | brokers <= opened
        # Only who talks to Kafka is let to it.
        assert bool(brokers) == (command in ("relay", "console")) == bool({9092, 9093} & opened)


def test_the_chart_and_the_manifests_make_the_same_pods():
    """Two ways to one deployment: what differs is only how objects are named and labelled."""
    def parts(name):
        [release] = [one for one in RELEASES if one.name == name]
        made = {}
        for pod in release.pods():
            spec = {key: value for key, value in pod.spec.items() if key not in ("containers", "topologySpreadConstraints", "serviceAccountName")}
            spread = [{**one, "labelSelector": None} for one in pod.spec.get("topologySpreadConstraints", [])]
            container = {key: value for key, value in pod.container.items() if key not in ("env", "envFrom")}
            environment = pod.environment()
            # The binary's default, which the chart says and the manifests do not.
            if environment.get("KAFKA_SECURITY_PROTOCOL") == "plaintext":
                del environment["KAFKA_SECURITY_PROTOCOL"]
            owner = {key: value for key, value in pod.owner["spec"].items() if key not in ("template", "selector")}
            made[pod.command] = (owner, spec, spread, container, environment)
        return made
    assert parts("helm-defaults") == parts("kustomize-base")


def test_the_chart_and_the_manifests_name_the_version_that_the_binary_has():
    version = re.search(r"\d+\.\d+\.\d+", subprocess.run([BINARY, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout)[0]
    chart = yaml.safe_load((ROOT / "deploy/helm/txstream/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for directory in ("base", "example"):
        kustomization = yaml.safe_load((ROOT / "deploy/kubernetes" / directory / "kustomization.yaml").read_text())
        assert [image["newTag"] for image in kustomization["images"]] == [version]


def test_no_secret_can_be_a_value_of_the_chart_and_what_it_sets_itself_cannot_be_said_twice(settings):
    schema = json.loads((ROOT / "deploy/helm/txstream/values.schema.json").read_text())
    names = schema["definitions"]["settings"]["propertyNames"]
    refused = set(names["not"]["enum"])
    can_be_said = lambda name: re.search(names["pattern"], name) and name not in refused
    assert [name for name, is_secret in settings.items() if is_secret and can_be_said(name)] == []
    assert [name for name in refused if name.removesuffix("_FILE") not in settings and name not in settings] == []
    [everything] = [one for one in RELEASES if one.name == "helm-everything"]
    given = yaml.safe_load((ROOT / "tests/deploy/values/everything.yaml").read_text())
    for pod in everything.pods():
        free = {**given["settings"], **given[pod.command].get("settings", {})}
        assert [name for name in pod.environment() if can_be_said(name) and name not in free] == ["LOGGING_FORMAT"]
        assert pod.environment().items() >= free.items()


def test_the_document_makes_the_secrets_that_the_pods_mount():
    text = (ROOT / "docs/kubernetes.md").read_text().replace("\\\n", " ")
    made = set()
    for kind, name, words in re.findall(r"create secret (generic|tls) (\S+) (.*)", text):
        keys = re.findall(r"--from-file=(\S+)", words) if kind == "generic" else ["tls.crt", "tls.key"]
        made |= {(name, key) for key in keys}
    assert made == {secret for pod in PODS if pod.release.name == "kustomize-example" for secret in pod.files().values()}


def test_where_go_is_too_old_the_rendering_is_reported_as_not_run_and_says_why(tmp_path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "tests/deploy/test_render.py"],
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 77 and "Go 1.19.8 is older than" in done.stdout, done.stdout + done.stderr
