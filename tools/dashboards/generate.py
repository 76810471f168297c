#!/usr/bin/python3
"""Writes deploy/grafana/dashboards/*.json from the code in this directory (make dashboards).

    generate.py [--out DIRECTORY]
"""
import argparse
import pathlib

import own_python  # noqa: F401  first: it starts this program again, with the Python that has the packages

import api
import kit
import overview
import relay

HOME = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/grafana/dashboards"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HOME)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for module in (overview, relay, api):
        built = module.build()
        (out / f"{built.uid}.json").write_text(kit.to_text(built))


main()
