"""simple-salesforce: bulk2.upsert of all records, or (argument "single") upsert of each of the first SAMPLE records."""
import json, os, socket, sys, time
from urllib.parse import urlsplit
from simple_salesforce import Salesforce

org = os.environ["ORG"]
sim, resolve, host = urlsplit(os.environ["SIMULATOR_URL"]), socket.getaddrinfo, org + ".my.salesforce.com"
# Stands in for a line in the hosts file, and for port 443.
socket.getaddrinfo = lambda h, p, *a, **k: resolve(*((sim.hostname, sim.port) if h == host else (h, p)), *a, **k)
sf = Salesforce(consumer_key="app", consumer_secret="secret", domain=org + ".my", version="60.0")
records = [json.loads(line) for line in open(os.environ["RECORDS"])]
single = sys.argv[1] == "single"
if single:
    records = records[:int(os.environ["SAMPLE"])]
began = time.perf_counter()
if single:
    for r in records:
        sf.Engagement__c.upsert("External_Id__c/" + r["External_Id__c"], {k: v for k, v in r.items() if k != "External_Id__c"})
else:
    for job in sf.bulk2.Engagement__c.upsert(records=records, external_id_field="External_Id__c"):
        assert job["numberRecordsFailed"] == 0, job
print(json.dumps({"name": "simple-salesforce " + sys.argv[1], "records": len(records), "seconds": time.perf_counter() - began}))
