#!/usr/bin/python3
"""Writes what kustomize and helm make of deploy/kubernetes and deploy/helm: tests/deploy/golden, which a test compares.

    render.py [DIRECTORY]      `make manifests` calls it without

The tests of the manifests read these files, so that they run where helm and kustomize cannot be built.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
CHART = ROOT / "deploy/helm/txstream"
GOLDEN = ROOT / "tests/deploy/golden"
VALUES = ROOT / "tests/deploy/values"
# helm knows no cluster's version here; this is the oldest of the chart's kubeVersion.
KUBERNETES_VERSION = "1.31"


class NoTools(Exception):
    """There is no Go here to build helm and kustomize with; says why."""


def tools():
    """The directory of helm and kustomize."""
    made = subprocess.run([ROOT / "tools/manifests/tools.sh"], capture_output=True, text=True, check=False)
    if made.returncode == 77:
        raise NoTools(made.stderr.strip())
    if made.returncode != 0:
        sys.exit(made.stderr)
    return pathlib.Path(made.stdout.strip())


def commands(where):
    """Name of each golden file, and the command that prints it."""
    made = {f"kustomize-{name}": [where / "kustomize", "build", KUBERNETES / name] for name in ("base", "example")}
    for values in sorted(VALUES.glob("*.yaml")):
        made[f"helm-{values.stem}"] = [where / "helm", "template", "txstream", CHART, "--namespace", "txstream",
                                       "--kube-version", KUBERNETES_VERSION, "--values", values]
    return made


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN
    try:
        made = commands(tools())
    except NoTools as why:
        sys.exit(str(why))
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.yaml"):
        old.unlink()
    for name, command in made.items():
        (directory / f"{name}.yaml").write_text(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
