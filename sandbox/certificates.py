"""Issues short-lived certificates for this machine from an authority of its own. Needs ``openssl``."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paynotify.schemas.errors import ConfigurationError

_SECONDS: Final = 30
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS: Final = ("-days", "3")


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM files: the certificate, its key, and both in one file as Kafka's keystores need them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A certificate authority with its files in ``directory``, which must exist.

    Raises:
        ConfigurationError: openssl is not installed, or it fails.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _openssl(
            "req",
            "-x509",
            *_NEW_KEY,
            *_DAYS,
            "-subj",
            f"/CN=paynotify sandbox {name}",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout",
            str(self._key),
            "-out",
            str(self.certificate),
        )

    def issue(self, name: str, address: str = "127.0.0.1") -> Issued:
        """A certificate for an IP address, usable by both sides of a connection."""
        files = Issued(*(self._directory / f"{name}.{kind}" for kind in ("pem", "key", "both")))
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(
            "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            f"subjectAltName=IP:{address}\n",
            "utf-8",
        )
        _openssl("req", "-new", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(files.key), "-out", str(request))
        _openssl(
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            str(self.certificate),
            "-CAkey",
            str(self._key),
            "-CAcreateserial",
            *_DAYS,
            "-extfile",
            str(extensions),
            "-out",
            str(files.certificate),
        )
        files.both.write_text(files.key.read_text("utf-8") + files.certificate.read_text("utf-8"), "utf-8")
        return files


def _openssl(*arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise ConfigurationError(
            "Issuing certificates needs openssl, which is not on the PATH. "
            "Install it (Debian and Ubuntu: apt-get install openssl)."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise ConfigurationError(f"openssl {arguments[0]} failed: {' '.join(done.stderr.split())[:300]}.")
