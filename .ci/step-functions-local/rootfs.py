"""Write the root file system of the image as a tar to standard output; no registry is asked.

The running interpreter, the shared libraries that it and its extension modules load, the locked
packages that the engine needs, and `local/`. The interpreter keeps its path, which it knows its
standard library by.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# Not the environment's link to it.
INTERPRETER = Path(sys.executable).resolve()
APPLICATION = Path("/application")
PACKAGES = APPLICATION / "packages"
LIBRARIES = APPLICATION / "libraries"
NEEDED = ("ministack", "hypercorn", "boto3")
# Half of the standard library's size, and no server asks for it.
LEFT_OUT = re.compile(
    r"/(site-packages|dist-packages|tests?|idlelib|tkinter|ensurepip|lib2to3|config-[^/]*)/"
    r"|/_tkinter\."
)
# "libc.so.6 => /lib/libc.so.6 (0x...)", and the loader itself: "/lib64/ld-linux.so.2 (0x...)".
_LIBRARY = re.compile(r"=>\s+(/\S+)\s+\(0x")
_LOADER = re.compile(r"^\s*(/\S+)\s+\(0x")


def standard_library() -> Iterator[Path]:
    """Its files, and none of the packages that may be installed within it."""
    # Of the interpreter, not of the environment: that has no standard library of its own.
    directory = Path(os.__file__).parent
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not LEFT_OUT.search(f"/{path.relative_to(directory)}"):
            yield path


def package_files(names: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """(file, its path below the packages) of the packages with all that they require."""
    todo, seen = list(names), set()
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise SystemExit(f"{name} is not installed: run `make setup`") from error
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
        for file in found.files or ():
            # What lies outside, as scripts do, is not imported.
            if ".." not in file.parts and (path := Path(str(file.locate()))).is_file():
                yield path, Path(str(file))


def libraries(binaries: list[Path]) -> Iterator[tuple[Path, Path]]:
    """The shared libraries that the binaries load; only the loader must stay where it is."""
    listed = _output("ldd", *map(str, binaries)).splitlines()
    # The C library opens it by name when a thread ends, so no binary lists it.
    listed += [
        f"{line} (0x0)"
        for line in _output("/sbin/ldconfig", "-p").splitlines()
        if "libgcc_s" in line
    ]
    for line in sorted(set(listed)):
        if found := _LIBRARY.search(line):
            yield Path(found[1]), LIBRARIES / Path(found[1]).name
        elif found := _LOADER.search(line):
            yield Path(found[1]), Path(found[1])


def _output(*command: str) -> str:
    # ldd counts it as a failure if one of many files is static.
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def contents() -> Iterator[tuple[Path, Path]]:
    """Every file here and its path in the image."""
    files = [(INTERPRETER, INTERPRETER)]
    files += [(path, path) for path in standard_library()]
    files += [(path, PACKAGES / name) for path, name in package_files(NEEDED)]
    yield from files
    yield from libraries(
        [path for path, _ in files if path == INTERPRETER or ".so" in path.suffixes]
    )
    for path in sorted((ROOT / "local").rglob("*.py")):
        yield path, APPLICATION / path.relative_to(ROOT)
    yield Path(__file__).with_name("serve.py"), APPLICATION / "serve.py"


def main() -> None:
    """Write the tar."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for directory in ("tmp", "home/StepFunctionsLocal"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
        # What the image runs, wherever the interpreter lives.
        entry = tarfile.TarInfo(str(APPLICATION / "python").lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, str(INTERPRETER)
        tar.addfile(entry)
        # By target: two links to one library are one file.
        for target, source in {target: source for source, target in contents()}.items():
            data = source.read_bytes()
            entry = tarfile.TarInfo(str(target).lstrip("/"))
            entry.size, entry.mode = len(data), source.stat().st_mode & 0o755
            tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main()
