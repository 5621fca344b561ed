"""simple-salesforce, unchanged, against the simulator: sign-in, describe, records, queries, Composite, bulk jobs, limits, errors."""

import os
import socket
import unittest
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

SIMULATOR = urlsplit(os.environ["SIMULATOR_URL"])
HOST = "acme.my.salesforce.com"
APP = {"consumer_key": "clients", "consumer_secret": "for-the-simulator-only", "domain": "acme.my"}

_resolve = socket.getaddrinfo


def _hosts_file(host, port, *args, **kwargs):
    """Stands in for a line in the hosts file, and for port 443, which tests may not open."""
    if host == HOST:
        host, port = SIMULATOR.hostname, SIMULATOR.port
    return _resolve(host, port, *args, **kwargs)


def setUpModule():
    socket.getaddrinfo = _hosts_file


def tearDownModule():
    socket.getaddrinfo = _resolve


class SignIn(unittest.TestCase):
    def test_client_credentials(self):
        sf = Salesforce(**APP)
        self.assertEqual(sf.sf_instance, HOST)
        self.assertEqual(sf.query("SELECT Id FROM Account WHERE Name = 'Customer Inc.'")["totalSize"], 1)

    def test_session_and_instance(self):
        token = Salesforce(**APP).session_id
        sf = Salesforce(instance=SIMULATOR.netloc, session_id=token)
        self.assertEqual(sf.query("SELECT Id FROM Account WHERE Name = 'Customer Inc.'")["totalSize"], 1)

    def test_wrong_secret(self):
        with self.assertRaises(SalesforceAuthenticationFailed) as refused:
            Salesforce(**{**APP, "consumer_secret": "wrong"})
        self.assertEqual(refused.exception.code, "invalid_client")

    def test_session_that_is_not_good(self):
        sf = Salesforce(instance=SIMULATOR.netloc, session_id="no longer good")
        with self.assertRaises(SalesforceExpiredSession) as refused:
            sf.query("SELECT Id FROM Account")
        self.assertEqual(refused.exception.content[0]["errorCode"], "INVALID_SESSION_ID")


class Data(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sf = Salesforce(**APP, version="60.0")

    def test_describe(self):
        self.assertIn("Lead", [o["name"] for o in self.sf.describe()["sobjects"]])
        fields = {f["name"]: f["type"] for f in self.sf.Lead.describe()["fields"]}
        self.assertEqual(fields["Email"], "email")
        self.assertEqual(self.sf.Lead.metadata()["objectDescribe"]["keyPrefix"], "00Q")

    def test_one_record(self):
        made = self.sf.Lead.create({"LastName": "Serpent", "Company": "Python"})
        self.assertTrue(made["success"])
        self.assertEqual(self.sf.Lead.update(made["id"], {"LastName": "Adder"}), 204)
        self.assertEqual(self.sf.Lead.get(made["id"])["LastName"], "Adder")
        key = "Throughline_Key__c/python-1"
        self.assertEqual(self.sf.Task.upsert(key, {"Subject": "Call", "WhoId": made["id"]}), 201)
        self.assertEqual(self.sf.Task.upsert(key, {"Subject": "Call again"}), 200)
        self.assertEqual(self.sf.Task.get_by_custom_id("Throughline_Key__c", "python-1")["Subject"], "Call again")
        self.assertEqual(self.sf.Lead.delete(made["id"]), 204)
        with self.assertRaises(SalesforceResourceNotFound) as refused:
            self.sf.Lead.get(made["id"])
        self.assertEqual(refused.exception.content[0]["errorCode"], "ENTITY_IS_DELETED")

    def test_collections_and_pages(self):
        made = []
        for start in range(0, 2_200, 200):
            rows = [{"attributes": {"type": "Account"}, "Name": f"Python {n:04d}"} for n in range(start, start + 200)]
            made += self.sf.restful("composite/sobjects", method="POST", json={"allOrNone": True, "records": rows})
        self.assertTrue(all(row["success"] for row in made))
        soql = "SELECT Id FROM Account WHERE Name LIKE 'Python %' ORDER BY Name"
        first = self.sf.query(soql)
        self.assertEqual((first["totalSize"], first["done"], len(first["records"])), (2_200, False, 2_000))
        more = self.sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
        self.assertEqual((more["done"], len(more["records"])), (True, 200))
        ids = [row["Id"] for row in self.sf.query_all_iter(soql)]
        self.assertEqual(ids, [row["id"] for row in made])
        for start in range(0, len(ids), 200):
            gone = self.sf.restful("composite/sobjects", {"ids": ",".join(ids[start:start + 200])}, method="DELETE")
            self.assertTrue(all(row["success"] for row in gone))

    def test_relationships(self):
        contact = self.sf.query("SELECT Account.Name, Account.Owner.Username FROM Contact WHERE Email = 'taro@customer.example'")["records"][0]
        self.assertEqual(contact["Account"]["Name"], "Customer Inc.")
        self.assertEqual(contact["Account"]["Owner"]["Username"], "integration@acme.example")
        account = self.sf.query("SELECT (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account WHERE Name = 'Customer Inc.'")["records"][0]
        self.assertEqual([c["LastName"] for c in account["Contacts"]["records"]], ["Suzuki", "Yamada"])

    def test_groups(self):
        found = self.sf.query("SELECT Account.Name, COUNT(Id) n FROM Contact GROUP BY Account.Name HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC")
        self.assertEqual([(g["Name"], g["n"]) for g in found["records"]], [("Customer Inc.", 2)])

    def test_what_was_updated_and_deleted(self):
        kept = self.sf.Lead.create({"LastName": "Kept", "Company": "C"})["id"]
        gone = self.sf.Lead.create({"LastName": "Gone", "Company": "C"})["id"]
        self.sf.Lead.delete(gone)
        now = datetime.now(timezone.utc)
        span = now - timedelta(hours=1), now + timedelta(hours=1)
        self.assertIn(kept, self.sf.Lead.updated(*span)["ids"])
        self.assertIn(gone, [r["id"] for r in self.sf.Lead.deleted(*span)["deletedRecords"]])
        self.sf.Lead.delete(kept)

    def test_composite(self):
        base = "/services/data/v60.0/sobjects/"
        answer = self.sf.restful("composite", method="POST", json={"compositeRequest": [
            {"method": "POST", "url": base + "Account", "referenceId": "acc", "body": {"Name": "Pythons"}},
            {"method": "POST", "url": base + "Contact", "referenceId": "con", "body": {"LastName": "Roe", "AccountId": "@{acc.id}"}},
        ]})
        self.assertEqual([r["httpStatusCode"] for r in answer["compositeResponse"]], [201, 201])

    def test_bulk2(self):
        rows = [{"Name": f"Bulk {n}"} for n in range(300)] + [{"Name": "x" * 256}]
        job = self.sf.bulk2.Account.insert(records=rows, wait=1)[0]
        self.assertEqual((job["numberRecordsProcessed"], job["numberRecordsFailed"]), (301, 1))
        made = self.sf.bulk2.Account.get_successful_records(job["job_id"])
        self.assertEqual(made.count("\n"), 301)
        self.assertIn("STRING_TOO_LONG", self.sf.bulk2.Account.get_failed_records(job["job_id"]))
        pages = list(self.sf.bulk2.Account.query("SELECT Id FROM Account WHERE Name LIKE 'Bulk %'", max_records=200))
        self.assertEqual(len(pages), 2)
        ids = [line.strip('"') for page in pages for line in page.splitlines()[1:]]
        self.assertEqual(len(ids), 300)
        gone = self.sf.bulk2.Account.delete(records=[{"Id": i} for i in ids], wait=1)[0]
        self.assertEqual((gone["numberRecordsProcessed"], gone["numberRecordsFailed"]), (300, 0))

    def test_limits(self):
        limits = self.sf.limits()
        self.assertLess(limits["DailyApiRequests"]["Remaining"], limits["DailyApiRequests"]["Max"])
        self.assertGreater(self.sf.api_usage["api-usage"].used, 0)

    def test_errors(self):
        for call, code in (
            (lambda: self.sf.query("SELECT Nonsense FROM Lead"), "INVALID_FIELD"),
            (lambda: self.sf.query("SELECT FROM"), "MALFORMED_QUERY"),
            (lambda: self.sf.Lead.create({"FirstName": "Nobody"}), "REQUIRED_FIELD_MISSING"),
        ):
            with self.subTest(code), self.assertRaises(SalesforceMalformedRequest) as refused:
                call()
            self.assertEqual(refused.exception.content[0]["errorCode"], code)


if __name__ == "__main__":
    unittest.main()
