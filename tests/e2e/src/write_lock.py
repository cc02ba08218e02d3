"""Keeps a domain controller from writing, while it goes on answering who only reads: the lock of its database is held
until standard input ends. Reads where that is as a line from standard input: smb.conf.
"""
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

lp = LoadParm()
lp.load(sys.stdin.readline().rstrip("\n"))
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
db.transaction_start()
print("held", flush=True)
sys.stdin.read()
db.transaction_cancel()
