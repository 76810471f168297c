"""A program that imports this runs in the Python that has the packages of requirements.txt. It is below var/, and made when missing."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

if sys.prefix == sys.base_prefix:
    made = subprocess.run([HERE.parent / "venv.sh", HERE / "requirements.txt"], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    python = made.stdout.strip()
    os.execv(python, [python, *sys.argv])

# What matplotlib keeps (a list of fonts, made once) belongs to this Python and not to the user's home.
os.environ.setdefault("MPLCONFIGDIR", str(pathlib.Path(sys.prefix) / "matplotlib"))
