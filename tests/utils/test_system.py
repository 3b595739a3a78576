"""A system that the program cannot run on is told in one line."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_windows_is_told_to_use_wsl():
    code = "import sys; sys.modules['fcntl'] = None; import main"  # None: as if there were no such module
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    assert "WSL" in ran.stderr
