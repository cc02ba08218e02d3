"""Reads and writes an object's list of entries as SDDL, with Samba's own reading of the format.

Reads one request as JSON from standard input: url, ca, bindDn, password, dn and, to write, sddl. Prints the
SDDL of the DACL as the domain controller then has it.
"""
import json
import sys

import ldb
from samba.credentials import Credentials
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

DACL_ONLY = ["sd_flags:1:4"]

request = json.load(sys.stdin)
lp = LoadParm()
lp.set("tls verify peer", "ca_only")
lp.set("tls cafile", request["ca"])
credentials = Credentials()
credentials.set_bind_dn(request["bindDn"])
credentials.set_password(request["password"])
db = SamDB(url=request["url"], credentials=credentials, lp=lp)
domain_sid = security.dom_sid(db.get_domain_sid())

if "sddl" in request:
    descriptor = security.descriptor.from_sddl(request["sddl"], domain_sid)
    message = ldb.Message(ldb.Dn(db, request["dn"]))
    message["sd"] = ldb.MessageElement(ndr_pack(descriptor), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(message, DACL_ONLY)
found = db.search(request["dn"], ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=DACL_ONLY)[0]
print(ndr_unpack(security.descriptor, found["nTSecurityDescriptor"][0]).as_sddl(domain_sid))
