"""model.tar.gz, the same bytes for the same files: fixed order, owners, modes and times."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from pipeline.errors import PipelineError


def pack(directory: Path) -> bytes:
    """The files below a directory as a reproducible .tar.gz."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            body = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(directory).as_posix())
            member.size, member.mode = len(body), 0o644
            archive.addfile(member, io.BytesIO(body))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as compressed:
        compressed.write(tar.getvalue())
    return packed.getvalue()


def unpack(path: Path, directory: Path) -> None:
    """Unpack a model.tar.gz; PipelineError if it is not one."""
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            archive.extractall(directory, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PipelineError(f"{path} is not a model.tar.gz: {error}") from error
