#!/usr/bin/env python3
"""Makes the root file system of the image: the binary, the packages whose libraries it loads, and nothing else.

usage: rootfs.py BINARY ROOT

Runs in the Dockerfile's build stage. No shell, no package manager: what is not there needs no update and helps no intruder.
Whole packages are copied and not single files, so that each can be named with its version: Debian's own records of them go to
/var/lib/dpkg/status.d, where scanners for vulnerabilities look in images without dpkg.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Beside what the binary loads: the directories and the name of the system (scanners ask for it), and whom TLS trusts.
ALWAYS = ["base-files", "ca-certificates"]
# Documentation but for licences, translations of messages, tools of packages that we need for a library.
LEFT_OUT = re.compile(
    r"/usr/share/(man|locale|lintian|info|bug|doc-base|gdb|base-files|gcc|ca-certificates)(/|$)"
    r"|/usr/share/doc/[^/]+/(?!copyright$)|/usr/s?bin/|/etc/(profile\.d|skel|update-motd\.d|issue|default|ca-certificates)"
    r"|/usr/lib/[^/]+/(gconv|engines-3|ossl-modules|perl)(/|$)")
UID = 65532


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout


def libraries(binary: str) -> list[str]:
    """Those that the loader finds, of the libraries too, and the loader itself."""
    listed = told("ldd", binary)
    assert "not found" not in listed, listed
    return sorted(set(re.findall(r"(/\S+) \(0x", listed)))


def owner(path: str) -> str:
    """The package of a file; a loader's path goes over links like /lib, which dpkg does not know."""
    for candidate in (path, os.path.realpath(path), "/usr" + path):
        done = subprocess.run(["dpkg", "-S", candidate], check=False, capture_output=True, text=True)
        # Debian 13 has diversions of the loader's old path, which are no packages.
        for line in done.stdout.splitlines():
            if done.returncode == 0 and not line.startswith("diversion "):
                return line.split(":")[0].split(",")[0]
    raise SystemExit(f"rootfs.py: no package has {path}")


def copy(package: str, root: pathlib.Path) -> None:
    # A directory before what is in it, and its mode with it.
    for name in sorted(told("dpkg", "-L", package).splitlines()):
        if name == "/." or not name.startswith("/") or LEFT_OUT.search(name):
            continue
        # Packages still name files below /lib, which is a link.
        source = pathlib.Path(os.path.realpath(os.path.dirname(name))) / os.path.basename(name)
        target = root / str(source).lstrip("/")
        if target.is_symlink() and source.is_symlink():
            continue
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(source))
        elif source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copystat(source, target)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def record(package: str, root: pathlib.Path) -> None:
    directory = root / "var/lib/dpkg/status.d"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / package).write_text(told("dpkg-query", "--status", package))


def settle(root: pathlib.Path) -> None:
    """What no package has: the user, where names are looked up, and the certificates in one file where OpenSSL looks for them."""
    etc = root / "etc"
    (etc / "passwd").write_text(f"root:x:0:0:root:/:/sbin/nologin\ntxstream:x:{UID}:{UID}:TxStream:/:/sbin/nologin\n")
    (etc / "group").write_text(f"root:x:0:\ntxstream:x:{UID}:\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    bundle = pathlib.Path("etc/ssl/certs/ca-certificates.crt")
    (root / bundle).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2("/" / bundle, root / bundle)
    openssl = root / "usr/lib/ssl"
    openssl.mkdir(parents=True, exist_ok=True)
    (openssl / "cert.pem").symlink_to("/" / bundle)
    for empty in ("tmp", "run", "var/tmp"):
        (root / empty).mkdir(parents=True, exist_ok=True)
    for shared in ("tmp", "var/tmp"):
        (root / shared).chmod(0o1777)


def main() -> None:
    binary, root = sys.argv[1], pathlib.Path(sys.argv[2])
    root.mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        if os.path.islink("/" + link):
            (root / link).symlink_to(os.readlink("/" + link))
    packages = sorted({*ALWAYS, *(owner(path) for path in libraries(binary))})
    for package in packages:
        copy(package, root)
        record(package, root)
    settle(root)
    target = root / "usr/bin/txstream"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(binary, target)
    target.chmod(0o755)
    print("\n".join(packages))


main()
