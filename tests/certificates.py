"""Certificates for tests: an authority, and what it signs, made by openssl in a folder."""

import base64
import hashlib
import subprocess


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options).stdout


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", 2,
                "-subj", f"/CN={name}", "-out", self.certificate, "-keyout", self.key)

    def issue(self, name, days=1, extension="subjectAltName=IP:127.0.0.1,DNS:localhost"):
        """(certificate, key), as paths."""
        certificate, key, request = (self.folder / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={name}",
                "-out", request, "-keyout", key)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", "/dev/stdin", "-out", certificate, input=extension.encode())
        return certificate, key


def thumbprint(certificate):
    """x5t#S256 (RFC 8705)."""
    der = openssl("x509", "-in", certificate, "-outform", "DER")
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
