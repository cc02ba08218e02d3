"""Opens and seals with jwcrypto: reads one JSON object, writes one."""

import json
import sys

from jwcrypto import jwe, jwk

task = json.load(sys.stdin)
answer = {}

private = [jwk.JWK.from_pem(pem.encode()) for pem in task["private"]]
answer["thumbprints"] = [key.thumbprint() for key in private]
answer["generated"] = [
    jwk.JWK.generate(kty="RSA", size=2048).export_to_pem(True, None).decode(),
    jwk.JWK.generate(kty="EC", crv="P-256").export_to_pem(True, None).decode(),
]
answer["unusable"] = [
    jwk.JWK.generate(kty="RSA", size=1024).export_to_pem(True, None).decode(),
    jwk.JWK.generate(kty="EC", crv="P-384").export_to_pem(True, None).decode(),
]


def decrypt(sealed, key):
    token = jwe.JWE(algs=["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(sealed if isinstance(sealed, str) else json.dumps(sealed), key)
    return json.loads(token.payload)


answer["opened"] = [
    decrypt(item["sealed"], private[item["key"]]) for item in task["open"]
]


def header(key):
    return {"alg": key["alg"], "kid": key["kid"]}


def public(key):
    return jwk.JWK(**{name: key[name] for name in key if name != "forest"})


content = json.dumps(task["claims"]).encode()
sealed = []
for key in task["public"]:
    for party in ({}, {"apu": "QWxpY2U", "apv": "Qm9i"}):
        protected = {**header(key), **party, "enc": "A256GCM"}
        token = jwe.JWE(content, protected=json.dumps(protected), recipient=public(key))
        sealed.append(token.serialize(compact=True))
token = jwe.JWE(content, protected=json.dumps({"enc": "A256GCM"}))
for key in task["public"]:
    token.add_recipient(public(key), header=json.dumps(header(key)))
sealed.append(json.loads(token.serialize()))
answer["sealed"] = sealed
json.dump(answer, sys.stdout)
