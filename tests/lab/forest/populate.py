"""Peoples a freshly provisioned forest, on its database file, before the domain controller starts.

Reads its plan as JSON from standard input: smbConf, people (givenName, surname), suffix, that of the service accounts,
the shortest password, passwords, and the GUID shared by the person who has an account in both forests, if there is one.
"""
import json
import sys
import uuid

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

# Schema GUIDs: MS-ADTS 5.1.3.2.1 (control access rights), MS-ADA1/MS-ADA3 (attributes), MS-ADSC (class user)
RESET_PASSWORD = "00299570-246d-11d0-a768-00aa006e0529"
CHANGE_PASSWORD = "ab721a53-1e2f-11d0-9819-00aa0040529b"
LOCKOUT_TIME = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
PWD_LAST_SET = "bf967a0a-0de6-11d0-a285-00aa003049e2"
CLASS_USER = "bf967aba-0de6-11d0-a285-00aa003049e2"

plan = json.load(sys.stdin)
lp = LoadParm()
lp.load(plan["smbConf"])
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
base = db.domain_dn()
suffix = plan["suffix"]


def organizational_unit(name):
    dn = f"OU={name},{base}"
    db.create_ou(dn)
    return dn


def account(ou, given, surname, password, login=None, suffix=suffix):
    login = login or f"{given}.{surname}".lower()
    name = f"{given} {surname}"
    db.newuser(login, password, userou=ou.removesuffix("," + base), givenname=given, surname=surname,
               useusernameascn=None, mailaddress=f"{login}@{suffix}")
    found = db.search(base, expression=f"(sAMAccountName={login})", attrs=["objectGUID"])[0]
    message = ldb.Message(found.dn)
    message["upn"] = ldb.MessageElement(f"{login}@{suffix}", ldb.FLAG_MOD_REPLACE, "userPrincipalName")
    message["name"] = ldb.MessageElement(name, ldb.FLAG_MOD_REPLACE, "displayName")
    db.modify(message)
    return found.dn


def replace(dn, attribute, value):
    message = ldb.Message(dn)
    message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    db.modify(message)


def sid_of(dn):
    return str(ndr_unpack(security.dom_sid, db.search(dn, ldb.SCOPE_BASE, attrs=["objectSid"])[0]["objectSid"][0]))


def add_aces(dn, aces, first=False):
    """Deny entries go first: the canonical order of a DACL (MS-DTYP 2.4.5)."""
    raw = db.search(dn, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"])[0]["nTSecurityDescriptor"][0]
    domain_sid = security.dom_sid(db.get_domain_sid())
    sddl = ndr_unpack(security.descriptor, raw).as_sddl(domain_sid)
    head, brace, tail = sddl[sddl.index("D:"):].partition("(")
    owner = sddl[:sddl.index("D:")]
    if first:
        sddl = owner + head + aces + brace + tail
    else:
        dacl, mark, sacl = (brace + tail).partition("S:")
        sddl = owner + head + dacl + aces + mark + sacl
    descriptor = security.descriptor.from_sddl(sddl, domain_sid)
    message = ldb.Message(ldb.Dn(db, str(dn)))
    message["sd"] = ldb.MessageElement(ndr_pack(descriptor), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(message)


day = -24 * 3600 * 10**7
domain = ldb.Message(ldb.Dn(db, base))
for attribute, value in {
    "minPwdAge": 0,
    "maxPwdAge": 90 * day,
    "minPwdLength": plan["minimumPasswordLength"],
    "pwdHistoryLength": 24,
    "lockoutThreshold": 5,
    "lockOutObservationWindow": day,
    "lockoutDuration": 60 * day,
}.items():
    domain[attribute] = ldb.MessageElement(str(value), ldb.FLAG_MOD_REPLACE, attribute)
db.modify(domain)

people = organizational_unit("People")
contractors = organizational_unit("Contractors")
services = organizational_unit("Services")

password = plan["peoplePassword"]
for person in plan["people"]:
    account(people, person["givenName"], person["surname"], password)
account(contractors, "Otto", "Outside", password)

protected = account(people, "Petra", "Protected", password)
db.add_remove_group_members("Domain Admins", ["petra.protected"], add_members_operation=True)
# Windows' SDProp stamps this within the hour (MS-ADTS 3.1.1.6.1.2); Samba has no such task
replace(protected, "adminCount", "1")

disabled = account(people, "Dora", "Disabled", password)
replace(disabled, "userAccountControl", "514")

account(people, "Leo", "Locked", password)

fixed = account(people, "Frida", "Fixed", password)
add_aces(fixed, f"(OD;;CR;{CHANGE_PASSWORD};;PS)(OD;;CR;{CHANGE_PASSWORD};;WD)", first=True)

if plan["sharedGuid"]:
    both = account(people, "Bianca", "Both", password)
    replace(both, "mS-DS-ConsistencyGuid", uuid.UUID(plan["sharedGuid"]).bytes_le)

# one account serves in every domain of a forest: here each knows it by the same name and password
serving = plan["serviceSuffix"]
writer = account(services, "Writeback", "Service", plan["servicePassword"], "svc-writeback", serving)
reader = account(services, "Writeback", "Reader", plan["readerPassword"], "svc-writeback-read", serving)
for service in (writer, reader):
    replace(service, "userAccountControl", str(0x200 | 0x10000))  # normal account, password never expires
sid = sid_of(writer)
add_aces(base, f"(OA;CIIO;CR;{RESET_PASSWORD};{CLASS_USER};{sid})"
               f"(OA;CIIO;WP;{LOCKOUT_TIME};{CLASS_USER};{sid})"
               f"(OA;CIIO;WP;{PWD_LAST_SET};{CLASS_USER};{sid})")
administrator = db.search(base, expression="(sAMAccountName=Administrator)")[0].dn
db.setpassword("(sAMAccountName=Administrator)", plan["administratorPassword"])
replace(administrator, "userPrincipalName", f"Administrator@{suffix}")
