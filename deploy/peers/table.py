"""Compares what stands in each org with the input file and prints the table. Arguments: records, results, the writer's JSON."""
import hashlib, json, sys
given = [json.loads(line) for line in open(sys.argv[1])]
own = json.loads(open(sys.argv[3]).read().splitlines()[-1])
rate, per = own["rates"][0]["records_per_s"], own["calls"][0]["calls_per_1000"]
rows = [{"name": "throughline", "records": len(given), "records_per_s": rate, "calls": round(per * len(given) / 1000), "calls_per_1000": per, "ratio": 1}]
for r in map(json.loads, open(sys.argv[2])):
    part = sorted(f"{g['External_Id__c']}|{g['Title__c']}|{g['View_Count__c']}" for g in given[:r["records"]])
    if r["digest"] != hashlib.sha256("\n".join(part).encode()).hexdigest():
        sys.exit(f"{r['name']}: the org holds {r['stands']} records that are not the {r['records']} of the file")
    v = r["records"] / r["seconds"]
    rows.append({"name": r["name"], "records": r["records"], "records_per_s": v, "calls": r["calls"], "calls_per_1000": r["calls"] * 1000 / r["records"], "ratio": v / rate})
print(f"{'client':26}{'records':>9}{'records/s':>11}{'calls':>7}{'per 1,000':>11}{'ratio':>7}")
for r in rows:
    print(f"{r['name']:26}{r['records']:9}{r['records_per_s']:11.1f}{r['calls']:7}{r['calls_per_1000']:11.1f}{r['ratio']:7.3f}")
print(json.dumps({"name": "peers", "rows": rows}))
