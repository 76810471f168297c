"""What helm and kustomize make of the sources is what the golden files hold, and the chart refuses values that cannot work.

Where there is no Go to build both with, none of it is run (77); test_manifests.py is, on the golden files.
"""
import subprocess
import sys

import pytest
import yaml
from rendered import ROOT

sys.path.insert(0, str(ROOT / "tools/manifests"))
from render import CHART, GOLDEN, KUBERNETES_VERSION, NoTools, commands, tools  # noqa: E402

WRONG = {
    "api.replica=3": "additional properties 'replica' not allowed",
    "settings.DATABASE_PASSWORD=secret": "invalid propertyName 'DATABASE_PASSWORD'",
    "api.settings.SERVER_PORT=80": "invalid propertyName 'SERVER_PORT'",
    "relay.settings.WORKER_POOL_SIZE=8": "got number, want string",
    "relay.settings.SHUTDOWN_TIMEOUT=60s": "invalid propertyName 'SHUTDOWN_TIMEOUT'",
    "relay.shutdownTimeoutSeconds=0": "minimum: got 0, want 1",
    "database.passwordSecret=": "/database/passwordSecret",
    "database.sslMode=verify-full": "/database/caSecret",
    "kafka.securityProtocol=sasl_ssl": "/kafka/sasl/passwordSecret",
    "kafka.sasl.mechanism=PLAIN": "/kafka/sasl/mechanism",
    "kafka.brokers=kafka": "/kafka/brokers",
    "console.tlsSecret=": "/console/tlsSecret",
    "networkPolicy.kafkaPorts=null": "missing property 'kafkaPorts'",
    "networkPolicy.databasePorts[0]=postgres": "/networkPolicy/databasePorts/0",
    "image.digest=latest": "/image/digest",
}


@pytest.fixture(scope="session")
def where():
    """The directory of helm and kustomize. Not asked for while tests are collected: there an exit is an error."""
    try:
        return tools()
    except NoTools as why:
        reason = str(why)
    pytest.exit(reason, returncode=77)


@pytest.fixture
def helm(where):
    def run(*words):
        return subprocess.run([where / "helm", *words], capture_output=True, text=True, timeout=60, check=False)
    return run


def test_the_sources_make_the_golden_files(where):
    made = commands(where)
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(made)
    for name, command in made.items():
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
        assert text == (GOLDEN / f"{name}.yaml").read_text(), f"{name}: `make manifests` renews it, if the change is meant"


def test_helm_finds_nothing_to_complain_of(helm):
    done = helm("lint", "--strict", "--kube-version", KUBERNETES_VERSION, CHART)
    assert done.returncode == 0 and "[WARNING]" not in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("value", WRONG)
def test_a_value_that_cannot_work_is_refused_by_name(helm, value):
    done = helm("template", "txstream", CHART, "--kube-version", KUBERNETES_VERSION, "--set", value)
    assert done.returncode != 0 and WRONG[value] in done.stderr, done.stderr


def test_the_schema_knows_every_value_wants_it_and_knows_no_other():
    def leaves(values, schema, path):
        for name, value in values.items():
            inner = schema["properties"][name]
            if isinstance(value, dict) and "properties" in inner:
                yield from leaves(value, inner, f"{path}.{name}")
            yield f"{path}.{name}"
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    known = list(leaves(yaml.safe_load((CHART / "values.yaml").read_text()), schema, ""))
    def names(inner, path):
        for name, one in inner.get("properties", {}).items():
            # One that is taken away with `null` would leave a hole: no ports of a rule are all ports.
            assert name in inner["required"] or name == "global"
            yield f"{path}.{name}"
            yield from names(one, f"{path}.{name}")
    assert sorted(known) == sorted(name for name in names(schema, "") if name != ".global")


def test_two_releases_of_one_namespace_do_not_meet(helm):
    def names(release):
        done = helm("template", release, CHART, "--kube-version", KUBERNETES_VERSION)
        objects = [one for one in yaml.safe_load_all(done.stdout) if one]
        return {(one["kind"], one["metadata"]["name"]) for one in objects}, objects
    (first, _), (second, objects) = names("orders"), names("payments")
    assert len(first) == len(second) and not first & second
    for one in objects:
        if one["kind"] == "Deployment":
            assert one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "payments"
