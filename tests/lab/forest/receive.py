"""Receives a person from another domain of the forest, on the database file of the domain that they move to.

The objectGUID stays, the SID is the new domain's (MS-ADTS 3.1.1.5.4.2). Samba knows no such move, and over LDAP nobody
may choose an objectGUID. Reads its plan as JSON from standard input: smbConf, login, userPrincipalName, object, password.
"""
import json
import sys
import uuid

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

plan = json.load(sys.stdin)
lp = LoadParm()
lp.load(plan["smbConf"])
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
login = plan["login"]
db.add({
    "dn": f"CN={login},OU=People,{db.domain_dn()}",
    "objectClass": "user",
    "sAMAccountName": login,
    "userPrincipalName": plan["userPrincipalName"],
    "objectGUID": uuid.UUID(plan["object"]).bytes_le,
}, controls=["relax:0"])
db.setpassword(f"(sAMAccountName={login})", plan["password"])
db.enable_account(f"(sAMAccountName={login})")
