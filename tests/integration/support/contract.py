"""The console's contract, src/console/openapi.yaml: which routes there are, and whether an answer is one of those it describes."""
import functools
import json
import re

import jsonschema
import yaml

from .world import ROOT

PREFIX = "/api/console/v1"
METHODS = ("get", "post", "put", "patch", "delete")


def strict(schema):
    """The same, but an object has no member that is not described: the page would not know of it."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(inner) for name, inner in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


class Contract:
    def __init__(self):
        self.document = yaml.safe_load((ROOT / "src/console/openapi.yaml").read_text())
        self.components = {"components": strict(self.document["components"])}

    def operations(self):
        """(method, path template with its prefix, operation)"""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), PREFIX + path, item[method]

    def _resolved(self, node):
        while "$ref" in node:
            at = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            node = at
        return node

    def _answer(self, method, path, status):
        operation = self.document["paths"][path.removeprefix(PREFIX)][method.lower()]
        answers = operation["responses"]
        return self._resolved(answers.get(str(status)) or answers["default"])

    @functools.cache
    def _validator(self, schema):
        return jsonschema.Draft202012Validator({**self.components, **strict(json.loads(schema))})

    def check(self, method, path, status, content_type, body):
        """`path` is the template. Fails with every way in which the answer is none of the described ones."""
        described = self._answer(method, path, status)["content"]
        sent = content_type.split(";")[0]
        assert sent in described, f"{method} {path} answers {status} with {content_type}, not {list(described)}"
        if not re.fullmatch(r"application/(.+\+)?json", sent):
            return None
        found = json.loads(body)
        errors = [f"{'/'.join(map(str, one.absolute_path)) or '.'}: {one.message[:300]}"
                  for one in self._validator(json.dumps(described[sent]["schema"])).iter_errors(found)]
        assert not errors, f"{method} {path} answers {status}:\n" + "\n".join(errors[:10])
        return found
