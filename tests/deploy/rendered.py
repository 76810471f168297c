"""What kustomize and helm make, read from the golden files: objects, the Pods in them, their environment."""
import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = sorted((ROOT / "tests/deploy/golden").glob("*.yaml"))


class Pod:
    """A template of a Deployment or Job. Each has one container, named after its command."""

    def __init__(self, owner, release):
        self.owner, self.release = owner, release
        self.spec = owner["spec"]["template"]["spec"]
        self.labels = owner["spec"]["template"]["metadata"]["labels"]
        [self.container] = self.spec["containers"]
        self.command = self.container["args"][0]

    def __repr__(self):
        return f"{self.release.name}:{self.command}"

    def environment(self):
        """As the kubelet makes it: what `env` says counts before `envFrom`."""
        made = {}
        for source in self.container.get("envFrom", []):
            made.update(self.release.named("ConfigMap", source["configMapRef"]["name"])["data"])
        given = [(one["name"], one["value"]) for one in self.container["env"]]
        assert len(dict(given)) == len(given), "a name twice"
        return {**made, **dict(given)}

    def port(self):
        [port] = self.container["ports"]
        return port

    def probes(self):
        return {kind: self.container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in self.container}

    def files(self):
        """Path of each mounted file: the Secret and the key that it shows. A whole TLS Secret has its two."""
        volumes = {one["name"]: one["secret"] for one in self.spec["volumes"]}
        made = {}
        for mount in self.container["volumeMounts"]:
            secret = volumes.pop(mount["name"])
            items = secret.get("items") or [{"key": name, "path": name} for name in ("tls.crt", "tls.key")]
            made.update({f"{mount['mountPath']}/{one['path']}": (secret["secretName"], one["key"]) for one in items})
        assert not volumes, f"volumes without a mount: {list(volumes)}"
        return made


class Release:
    """The objects of one golden file."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.objects = [one for one in yaml.safe_load_all(path.read_text()) if one]

    def kind(self, *kinds):
        return [one for one in self.objects if one["kind"] in kinds]

    def named(self, kind, name):
        [found] = [one for one in self.kind(kind) if one["metadata"]["name"] == name]
        return found

    def pods(self):
        return [Pod(one, self) for one in self.kind("Deployment", "Job")]

    def selected(self, labels):
        """The Pods that an equality selector finds."""
        assert labels
        return [pod for pod in self.pods() if labels.items() <= pod.labels.items()]


RELEASES = [Release(path) for path in GOLDEN]
PODS = [pod for release in RELEASES for pod in release.pods()]
