"""The image: what is in it, and that it runs as locked up as an engine can."""
import gzip
import json
import re
import subprocess
import tarfile

import pytest
from conftest import ROOT, eventually

LOCKED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65532"]


@pytest.fixture
def container(engine):
    made = []

    def start(*arguments, options=()):
        made.append(engine.run("run", "--detach", *LOCKED, "--network", "host", *options, "txstream", *arguments).stdout.strip())
        return made[-1]

    yield start
    for name in made:
        engine.run("rm", "--force", "--time", "0", name)


def test_the_binary_runs_locked_up_and_says_what_it_is(engine):
    text = engine.run("run", "--rm", *LOCKED, "--network", "none", "txstream", "version").stdout
    labels = engine.inspect("txstream")["Labels"]
    version, revision = re.match(r"txstream (\S+) \((\S+), ", text).groups()
    assert (labels["org.opencontainers.image.version"], labels["org.opencontainers.image.revision"]) == (version, revision)
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert engine.run("run", "--rm", *LOCKED, "--network", "none", "txstream", "config", "check").returncode == 0


def test_it_is_configured_for_orchestrators(engine):
    config = engine.inspect("txstream")["Config"]
    assert config["User"] == "65532:65532" and config["StopSignal"] in ("SIGTERM", "15")
    assert config["Entrypoint"] == ["/usr/bin/txstream"] and config["Cmd"] == ["serve"]
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9091/tcp", "8082/tcp"}
    assert not any(name.split("=")[0] != "PATH" for name in config.get("Env") or []), "no setting: servers listen on loopback until told"


def test_it_holds_no_shell_no_package_manager_and_nothing_that_runs_with_other_rights(engine, tmp_path):
    name = engine.run("create", "txstream").stdout.strip()
    archive = tmp_path / "root.tar"
    engine.run("export", "--output", str(archive), name)
    engine.run("rm", name)
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    programs = {one.name for one in members if one.isfile() and re.match(r"(usr/)?s?bin/", one.name)}
    assert programs == {"usr/bin/txstream"}, programs
    assert not [one.name for one in members if one.isfile() and one.mode & 0o6000]
    assert not [one.name for one in members if one.isfile() and one.mode & 0o002]
    assert {"etc/ssl/certs/ca-certificates.crt", "usr/share/doc/txstream/copyright"} <= {one.name for one in members}
    size = sum(one.size for one in members)
    packed = len(gzip.compress(archive.read_bytes(), 6))
    engine.note(f"image: {size / 1e6:.1f} MB, compressed {packed / 1e6:.1f} MB")
    assert size < 60e6 and packed < 30e6


def test_the_bill_of_materials_names_each_package_that_is_in_it(engine, tmp_path):
    name = engine.run("create", "txstream").stdout.strip()
    for path in ("/usr/share/txstream/sbom.spdx.json", "/var/lib/dpkg/status.d"):
        engine.run("cp", f"{name}:{path}", str(tmp_path))
    engine.run("rm", name)
    bill = json.loads((tmp_path / "sbom.spdx.json").read_text())
    listed = {one["name"]: one for one in bill["packages"]}
    contained = {one["relatedSpdxElement"] for one in bill["relationships"] if one["relationshipType"] == "CONTAINS"}
    installed = {one.name: dict(re.findall(r"^(\S+): (.*)$", one.read_text(), re.M)) for one in (tmp_path / "status.d").iterdir()}
    assert {"libc6", "libpq5", "librdkafka1", "libstdc++6", "ca-certificates"} <= set(installed)
    for package, fields in installed.items():
        assert listed[package]["versionInfo"] == fields["Version"] and listed[package]["SPDXID"] in contained
    assert len(contained) == len(installed)
    engine.note(f"packages: {len(installed)}: {' '.join(sorted(installed))}")
    assert {"preact", "libboost-dev"} <= set(listed), "what is compiled in is named, too"
    assert bill["spdxVersion"] == "SPDX-2.3" and len({one["SPDXID"] for one in bill["packages"]}) == len(bill["packages"])


def test_a_console_becomes_healthy_and_sigterm_ends_it_with_0(engine, container, health_checks):
    # The console needs neither PostgreSQL nor Kafka to live.
    name = container("console", options=["--env", "CONSOLE_PORT=0", "--env", "LOGGING_FORMAT=json"])
    port = eventually(lambda: re.search(r'"port":(\d+)', engine.run("logs", name).stdout), "it listens")[1]
    engine.run("rm", "--force", "--time", "0", name)
    name = container("console", options=["--env", f"CONSOLE_PORT={port}"])
    eventually(lambda: engine.inspect(name)["State"]["Health" if "Health" in engine.inspect(name)["State"] else "Healthcheck"]["Status"]
               == "healthy", "it is healthy")
    assert "live: console" in engine.run("exec", name, "/usr/bin/txstream", "healthcheck").stdout
    engine.run("stop", "--time", "30", name)
    assert engine.inspect(name)["State"]["ExitCode"] == 0


def test_the_dockerfile_is_linted():
    python = subprocess.run([ROOT / "tools/venv.sh", ROOT / "tests/containers/requirements.txt"], check=True, capture_output=True, text=True)
    hadolint = python.stdout.strip().rsplit("/", 1)[0] + "/hadolint"
    files = [ROOT / "Dockerfile", *sorted((ROOT / "tests/containers").glob("**/Dockerfile"))]
    done = subprocess.run([hadolint, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
