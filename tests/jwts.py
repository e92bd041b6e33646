"""JSON Web Tokens made by hand, good and bad, and the keys to sign them with: no library that would refuse to forge."""

import base64
import hashlib
import hmac
import json
import secrets
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ISSUER = "https://test.utvag.example"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value):
    """One part of a token. A text is taken as it is: for JSON that no library would write."""
    return b64((value if isinstance(value, str) else json.dumps(value)).encode())


class Key:
    def __init__(self, kid=None, private=None):
        self.private = private or ec.generate_private_key(ec.SECP256R1())
        self.kid = kid or self.thumbprint()

    def jwk(self, **more):
        """What its holder registers."""
        numbers = self.private.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid} | more

    def private_jwk(self):
        """What its holder keeps."""
        return self.jwk(d=b64(self.private.private_numbers().private_value.to_bytes(32, "big")))

    def thumbprint(self):
        self.kid = None
        public = self.jwk()
        text = json.dumps({name: public[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())

    def public_pem(self):
        return self.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims, header=None):
        """ES256, whatever the header says."""
        header = {"alg": "ES256", "kid": self.kid} if header is None else header
        text = f"{part(header)}.{part(claims)}"
        r, s = utils.decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def by_hmac(claims, secret, kid=None, alg="HS256"):
    text = f"{part({'alg': alg, 'typ': 'JWT'} | ({'kid': kid} if kid else {}))}.{part(claims)}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), 'sha' + alg[2:]).digest())}"


def by_nobody(claims, kid=None, signature=""):
    return f"{part({'alg': 'none', 'typ': 'JWT'} | ({'kid': kid} if kid else {}))}.{part(claims)}.{signature}"


def claims_of(token):
    return json.loads(unb64(token.split(".")[1]))


def header_of(token):
    return json.loads(unb64(token.split(".")[0]))


def doubled(claims, name, value):
    """JSON with a claim twice: the given value first, then that of claims."""
    return json.dumps({name: value})[:-1] + "," + json.dumps(claims)[1:]


def assertion_claims(client, **changes):
    """Of a good assertion; a change to None leaves that claim out."""
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": ISSUER, "jti": secrets.token_urlsafe(16), "iat": now, "nbf": now,
              "exp": now + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


def ring_key(cluster, which="current"):
    """The service's own key: what no attacker has, but without which no single check could be told from the others."""
    folder = cluster.folder / "keys"
    kid = (folder / f"sign-{which}").read_text().strip()
    pem = (folder / f"sign-{kid}.pem").read_bytes()
    return Key(kid, serialization.load_pem_private_key(pem, None))
