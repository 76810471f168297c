#!/usr/bin/env python3
"""Writes an OpenAPI description that people wrote as YAML as JSON.

usage: openapi.py IN.yaml OUT.json
"""
import json
import pathlib
import sys

import yaml

source, out = sys.argv[1:]
description = yaml.safe_load(pathlib.Path(source).read_text())
pathlib.Path(out).write_text(json.dumps(description, ensure_ascii=False, separators=(",", ":")) + "\n")
