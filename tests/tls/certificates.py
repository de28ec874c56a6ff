"""Certificates for tests, made with openssl when they are needed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

OPENSSL = "openssl"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


def run(*words: str | Path) -> None:
    subprocess.run([OPENSSL, *words], check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> Pair:
    made = Pair(folder / f"{name}.pem", folder / f"{name}-key.pem")
    subject = ("-x509", "-subj", f"/CN={name}", "-days", "30")
    run("req", *CURVE, *subject, "-keyout", made.key, "-out", made.cert)
    return made


def make_pair(folder: Path, name: str, ca: Pair, days: int = 90) -> Pair:
    """For localhost and 127.0.0.1; negative `days`: expired so long ago."""
    made = Pair(folder / f"{name}.pem", folder / f"{name}-key.pem")
    request = folder / f"{name}.csr"
    extensions = folder / f"{name}.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("req", *CURVE, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    signed = ("-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-extfile", extensions)
    run("x509", "-req", "-in", request, *signed, "-days", str(days), "-out", made.cert)
    made.key.chmod(0o600)
    return made
