"""What `sam build` makes is complete: it runs without the packages of this machine.

Emulated functions see the host's packages, so a library that a layer forgets would pass there and
fail in Lambda. Here every handler is imported from the built artefacts and from what Lambda's
runtime brings, nothing else.
"""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from governance.settings import Settings
from local import deployment

ROOT = Path(__file__).parents[3]
HANDLERS = sorted(
    path.stem
    for path in (ROOT / "functions" / "governance" / "handlers").glob("*.py")
    if path.stem != "__init__"
)
# What AWS documents as part of Lambda's Python runtimes.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_AARCH64 = 183  # e_machine in the header of an ELF file


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build of Central for this machine."""
    directory = tmp_path_factory.mktemp("built")
    deployment.build("local-central", directory)
    return directory


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages of Lambda's own runtime alone."""
    directory = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        (directory / place.name).symlink_to(place)
    return directory


def _python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code with nothing on the path but the standard library and these directories."""
    variables = {name.upper(): "arn:aws:kms:us-east-1:111122223333:key/x" for name in _settings()}
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={
            **variables,
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
    )


def _settings() -> list[str]:
    return list(Settings.__dataclass_fields__)


def _functions(artefacts: Path) -> Path:
    (shared,) = artefacts.glob("*-Shared")
    return shared


def test_every_handler_imports_from_the_artefacts_alone(artefacts: Path, runtime: Path) -> None:
    imports = "\n".join(f"import governance.handlers.{name}" for name in HANDLERS)
    layer = artefacts / "DependenciesLayer" / "python"
    done = _python(imports, _functions(artefacts), layer, runtime)
    assert done.returncode == 0, done.stderr


def test_without_the_layer_they_do_not(artefacts: Path, runtime: Path) -> None:
    done = _python("import governance.handlers.record", _functions(artefacts), runtime)
    assert "ModuleNotFoundError" in done.stderr


def test_the_statistics_layer_computes_without_the_librarys_own_tests(
    artefacts: Path, runtime: Path
) -> None:
    code = (
        "from governance.adapters.statistics import metrics\n"
        "print(metrics([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])['auc'])"
    )
    layers = [artefacts / name / "python" for name in ("DependenciesLayer", "StatisticsLayer")]
    done = _python(code, _functions(artefacts), *layers, runtime)
    # The textbook value of this example in scikit-learn's documentation of roc_auc_score.
    assert done.stdout.strip() == "0.75", done.stderr


_SIGN = """
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from governance.adapters import sessions, signing
from governance.domain import attestations

class Kms:
    key = ec.generate_private_key(ec.SECP256R1())

    def get_public_key(self, KeyId):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = self.key.public_key().public_bytes(serialization.Encoding.DER, form)
        return {"PublicKey": public}

    def sign(self, Message, **_):
        digest = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        return {"Signature": self.key.sign(Message, digest)}

sessions.own_client = lambda service: Kms()
signed = signing.Signing("key").sign(attestations.checkpoint_of("m", 1, "0" * 64, "now"))
print(attestations.statement_in(signed.envelope)["predicate"]["entries"])
"""


def test_the_attestations_layer_signs(artefacts: Path, runtime: Path) -> None:
    """Its libraries are imported no earlier than that."""
    layers = [artefacts / name / "python" for name in ("DependenciesLayer", "AttestationsLayer")]
    done = _python(_SIGN, _functions(artefacts), *layers, runtime)
    assert done.stdout.strip() == "1", done.stderr


@pytest.mark.parametrize("layer", ["StatisticsLayer", "AttestationsLayer", "PolicyLayer"])
def test_function_and_layers_together_stay_below_lambdas_limit(artefacts: Path, layer: str) -> None:
    parts = (_functions(artefacts), artefacts / "DependenciesLayer", artefacts / layer)
    files = [file for part in parts for file in part.rglob("*") if file.is_file()]
    assert 0 < sum(file.stat().st_size for file in files) < 250 * 1024**2


@pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files of a Linux build")
def test_the_build_for_aws_is_for_the_architecture_of_the_template(tmp_path: Path) -> None:
    deployment.build("central", tmp_path)
    built = {layer.name: list(layer.rglob("*.so")) for layer in tmp_path.glob("*Layer")}
    assert set(built) == {
        *("AttestationsLayer", "DependenciesLayer", "PolicyLayer", "StatisticsLayer")
    }
    assert all(built.values())
    libraries = [library for found in built.values() for library in found]
    assert {_machine(library) for library in libraries} == {_AARCH64}
    assert all(
        "-313-" in lib.name or "abi3" in lib.name for lib in libraries if "cpython" in lib.name
    )


def _machine(library: Path) -> int:
    header = library.read_bytes()[:20]
    return int(struct.unpack_from("<H", header, 18)[0])
