"""Peoples a forest with migrated people, on its database file, before the domain controller starts.

Reads its plan as JSON from standard input: smbConf, suffix, count, readerPassword. Every person's
mS-DS-ConsistencyGuid is b"migrated" and their number in eight bytes, so that it need not be read back.
"""
import json
import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

BATCH = 500

plan = json.load(sys.stdin)
lp = LoadParm()
lp.load(plan["smbConf"])
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
base = db.domain_dn()
db.create_ou(f"OU=Migrated,{base}")
db.newuser("svc-writeback-read", plan["readerPassword"])
for login in ("svc-writeback-read", "Administrator"):
    message = ldb.Message(db.search(base, expression=f"(sAMAccountName={login})", attrs=[])[0].dn)
    for name, value in (
        ("userPrincipalName", f"{login}@{plan['suffix']}"),
        ("userAccountControl", str(0x10200)),  # a normal account whose password never expires
    ):
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    db.modify(message)

db.transaction_start()
for number in range(plan["count"]):
    db.add({
        "dn": f"CN=Migrated {number},OU=Migrated,{base}",
        "objectClass": "user",
        "sAMAccountName": f"migrated{number}",
        "userPrincipalName": f"migrated{number}@{plan['suffix']}",
        "userAccountControl": str(0x220),  # enabled, and needs no password: making one takes longest
        "mS-DS-ConsistencyGuid": b"migrated" + number.to_bytes(8, "big"),
    })
    if number % BATCH == BATCH - 1:
        db.transaction_commit()
        print(f"{number + 1} people", flush=True)
        db.transaction_start()
db.transaction_commit()
