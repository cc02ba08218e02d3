"""Prints what populate.py reads: who is in the forest, and with which passwords.

Arguments: smb.conf, the folder of the passwords, the list of people. The forest is told by the environment.
"""
import json
import os
import pathlib
import sys

# the mS-DS-ConsistencyGuid of the person who has an account in both forests of the lab
SHARED_GUID = "6f1cde1a-9b0c-4bd9-9a34-1a2b3c4d5e6f"

smb_conf, passwords, people = sys.argv[1:]
names = [line.split(" ", 1) for line in pathlib.Path(people).read_text().splitlines() if " " in line]
shift = int(os.environ.get("SURNAME_SHIFT", "0"))


def password(account):
    return pathlib.Path(passwords, account).read_text().rstrip("\n")


json.dump({
    "smbConf": smb_conf,
    "suffix": os.environ["FOREST_DOMAIN"],
    "serviceSuffix": os.environ["FOREST_DOMAIN"],
    "minimumPasswordLength": 8,
    "people": [{"givenName": given, "surname": names[(index + shift) % len(names)][1]}
               for index, (given, _) in enumerate(names)],
    "administratorPassword": password("administrator"),
    "peoplePassword": password("people"),
    "servicePassword": password("svc-writeback"),
    "readerPassword": password("svc-writeback-read"),
    "sharedGuid": SHARED_GUID,
}, sys.stdout)
