"""Asks the simulator for the calls it saw and what stands in each org, compares that with the input file, and prints the table.
Arguments: records, results in the order of ORGS."""
import json, os, ssl, sys, urllib.request
ORGS = ["writer", "collections", "jsforce", "bulk2", "single"]
trust = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
ask = lambda path: urllib.request.urlopen(os.environ["SIMULATOR_URL"] + "/_sim/" + path, context=trust).read().decode()
given = [json.loads(line) for line in open(sys.argv[1])]
results = [json.loads(line) for line in open(sys.argv[2])]
line = lambda r: f"{r['External_Id__c']}|{r['Title__c']}|{int(r['View_Count__c'])}"
rows = []
for org, r in zip(ORGS, results, strict=True):
    calls = json.loads(ask("stats?org=" + org))["calls"]
    stands = sorted(line(json.loads(l)) for l in ask(f"export?org={org}&object=Engagement__c").splitlines() if l)
    if stands != sorted(map(line, given[:r["records"]])):
        sys.exit(f"{r['name']}: org {org} holds {len(stands)} records that are not the {r['records']} of the file")
    name = r["name"] + {"collections": ", collections only"}.get(org, "")
    rows.append({"name": name, "records": r["records"], "seconds": r["seconds"], "records_per_s": r["records"] / r["seconds"],
                 "calls": calls, "calls_per_1000": calls * 1000 / r["records"]})
for r in rows:
    r["ratio"] = r["records_per_s"] / rows[0]["records_per_s"]
print(f"{'client':32}{'records':>9}{'seconds':>9}{'records/s':>11}{'calls':>7}{'per 1,000':>11}{'ratio':>7}")
for r in rows:
    print(f"{r['name']:32}{r['records']:9}{r['seconds']:9.2f}{r['records_per_s']:11.1f}{r['calls']:7}{r['calls_per_1000']:11.1f}{r['ratio']:7.3f}")
best = max(rows[2:], key=lambda r: r["records_per_s"])
print(json.dumps({"name": "peers", "value": rows[0]["records_per_s"], "unit": "records/s", "ratio": rows[0]["records_per_s"] / best["records_per_s"],
                  "against": best["name"], "rows": rows}))
