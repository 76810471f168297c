#!/usr/bin/env python3
"""Prints the software bill of materials of the image, as SPDX 2.3 in JSON.

usage: sbom.py ROOT SOURCE VERSION REVISION CREATED

ROOT is what rootfs.py made, SOURCE the checkout. CREATED is a time such as 2025-01-31T12:00:00Z, or the same sources would not make the
same file. Listed are: the Debian packages in the image; header-only libraries, which are compiled into the binary; and the packages of
the console's page, which is embedded in it.
"""
import json
import pathlib
import re
import subprocess
import sys

# Of Debian packages that leave nothing but compiled code in the binary.
COMPILED_IN = ["libboost-dev", "libcli11-dev", "libexpected-dev", "nlohmann-json3-dev"]


def stanza(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z-]+): (.*)$", text, re.M))


def package(identifier: str, name: str, version: str, locator: str, **more) -> dict:
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", identifier), "name": name, "versionInfo": version,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}], **more}


def debian(fields: dict[str, str], comment: str) -> dict:
    name, version = fields["Package"], fields["Version"]
    quoted = version.replace("+", "%2B").replace(":", "%3A")
    return package(
        f"deb-{name}", name, version, f"pkg:deb/debian/{name.replace('+', '%2B')}@{quoted}?arch={fields['Architecture']}&distro=trixie",
        supplier="Organization: Debian", comment=comment, sourceInfo="source package: " + fields.get("Source", name))


def in_the_image(root: pathlib.Path) -> list[dict]:
    records = sorted((root / "var/lib/dpkg/status.d").iterdir())
    return [debian(stanza(one.read_text()), f"licence: /usr/share/doc/{one.name}/copyright") for one in records]


def compiled_in() -> list[dict]:
    found = subprocess.run(["dpkg-query", "--status", *COMPILED_IN], check=True, capture_output=True, text=True).stdout
    return [debian(stanza(one), "header-only; compiled into /usr/bin/txstream") for one in found.strip().split("\n\n")]


def of_the_page(source: pathlib.Path) -> list[dict]:
    locked = json.loads((source / "web/package-lock.json").read_text())["packages"]
    found = []
    for path, fields in sorted(locked.items()):
        if path and not fields.get("dev"):
            name = path.rsplit("node_modules/", 1)[-1]
            found.append(package(
                f"npm-{name}", name, fields["version"], f"pkg:npm/{name.replace('@', '%40')}@{fields['version']}",
                comment="in the console's page, which is embedded in /usr/bin/txstream",
                **({"licenseDeclared": fields["license"]} if "license" in fields else {})))
    return found


def main() -> None:
    root, source, version, revision, created = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:]
    image = package("txstream", "txstream", version, f"pkg:generic/txstream@{version}", sourceInfo=f"revision {revision}")
    image |= {"primaryPackagePurpose": "CONTAINER", "licenseDeclared": "MIT"}
    contained, built_in = in_the_image(root), compiled_in() + of_the_page(source)
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", image["SPDXID"])]
    relations += [(image["SPDXID"], "CONTAINS", one["SPDXID"]) for one in contained]
    relations += [(one["SPDXID"], "STATIC_LINK", image["SPDXID"]) for one in built_in]
    json.dump({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"txstream-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/txstream-{version}-{revision}",
        "creationInfo": {"created": created, "creators": ["Tool: txstream-deploy-container-sbom.py"]},
        "packages": [image, *contained, *built_in],
        "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                          for one, kind, other in relations],
    }, sys.stdout, indent=1)
    print()


main()
