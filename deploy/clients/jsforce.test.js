// jsforce, unchanged, against the simulator: sign-in, describe, records, Collections, Composite, queries, bulk jobs, limits, errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import jsforce from 'jsforce';

const loginUrl = process.env.SIMULATOR_URL;
const app = { loginUrl, clientId: 'clients', clientSecret: 'for-the-simulator-only', redirectUri: 'http://127.0.0.1:1717/OauthRedirect' };
const version = '60.0';

// connect signs in with client credentials.
async function connect() {
  const conn = new jsforce.Connection({ oauth2: app, loginUrl, version });
  await conn.authorize({ grant_type: 'client_credentials' });
  return conn;
}

// consent does what a person does on the consent page and returns the code.
async function consent(url) {
  const form = new URLSearchParams(new URL(url).search);
  form.set('username', 'integration@acme.example');
  form.set('password', 'for-the-simulator-only');
  form.set('answer', 'allow');
  const answer = await fetch(url.split('?')[0], { method: 'POST', body: form, redirect: 'manual' });
  return new URL(answer.headers.get('location')).searchParams.get('code');
}

test('authorization code, refresh and identity', async () => {
  const oauth2 = new jsforce.OAuth2({ ...app, useVerifier: true });
  const code = await consent(oauth2.getAuthorizationUrl({ scope: 'api id refresh_token', state: 'here' }));
  const conn = new jsforce.Connection({ oauth2, loginUrl, version });
  const user = await conn.authorize(code);
  assert.match(user.id, /^005/);
  const identity = await conn.identity();
  assert.equal(identity.username, 'integration@acme.example');

  const first = conn.accessToken;
  let renewed = '';
  conn.on('refresh', (token) => { renewed = token; });
  conn.accessToken = 'no longer good';
  assert.equal((await conn.query('SELECT Id FROM Account LIMIT 1')).records.length, 1);
  assert.notEqual(renewed, '');
  assert.notEqual(renewed, first);

  await conn.logout();
  await assert.rejects(new jsforce.Connection({ instanceUrl: loginUrl, accessToken: renewed, version }).query('SELECT Id FROM Account'),
    { errorCode: 'INVALID_SESSION_ID' });
});

test('describe', async () => {
  const conn = await connect();
  const global = await conn.describeGlobal();
  assert.ok(global.sobjects.some((o) => o.name === 'Lead' && o.keyPrefix === '00Q'));
  const lead = await conn.describe('Lead');
  const email = lead.fields.find((f) => f.name === 'Email');
  assert.equal(email.type, 'email');
  const account = await conn.sobject('Account').describe();
  assert.ok(account.childRelationships.some((r) => r.relationshipName === 'Contacts' && r.field === 'AccountId'));
});

test('one record: create, retrieve, update, upsert, delete', async () => {
  const conn = await connect();
  const leads = conn.sobject('Lead');
  const made = await leads.create({ LastName: 'Berg', Company: 'Berg AG', Email: 'berg@one.example' });
  assert.equal(made.success, true);
  assert.equal((await leads.retrieve(made.id)).LastName, 'Berg');
  assert.equal((await leads.update({ Id: made.id, LastName: 'Tal' })).success, true);
  assert.equal((await leads.retrieve(made.id)).LastName, 'Tal');

  const key = { Throughline_Key__c: 'one-1', Subject: 'Call' };
  const up = await conn.sobject('Task').upsert({ ...key, WhoId: made.id }, 'Throughline_Key__c');
  assert.equal(up.success, true);
  const again = await conn.sobject('Task').upsert({ ...key, Subject: 'Call again' }, 'Throughline_Key__c');
  assert.equal(again.id ?? up.id, up.id);

  assert.equal((await leads.destroy(made.id)).success, true);
  await assert.rejects(leads.retrieve(made.id), { errorCode: 'ENTITY_IS_DELETED' });
});

test('Collections: create, update, upsert, retrieve, delete many', async () => {
  const conn = await connect();
  const leads = conn.sobject('Lead');
  const rows = Array.from({ length: 250 }, (_, i) => ({ LastName: `Many ${i}`, Company: 'Many' }));
  const made = await leads.create(rows, { allowRecursive: true });
  assert.equal(made.length, 250);
  assert.ok(made.every((r) => r.success));
  const ids = made.map((r) => r.id);
  const changed = await leads.update(ids.slice(0, 10).map((Id) => ({ Id, Company: 'More' })));
  assert.ok(changed.every((r) => r.success));
  const found = await leads.retrieve(ids.slice(0, 10));
  assert.ok(found.every((r) => r.Company === 'More'));
  const tasks = await conn.sobject('Task').upsert(
    [1, 2, 3].map((n) => ({ Throughline_Key__c: `many-${n}`, Subject: 'Call', WhoId: ids[0] })), 'Throughline_Key__c');
  assert.deepEqual(tasks.map((r) => [r.success, r.created]), [[true, true], [true, true], [true, true]]);
  const [good, bad] = await leads.create([{ LastName: 'Good', Company: 'C' }, { LastName: 'x'.repeat(81), Company: 'C' }]);
  assert.equal(good.success, true);
  assert.equal(bad.errors[0].statusCode, 'STRING_TOO_LONG');
  const gone = await leads.destroy([...ids, good.id], { allowRecursive: true });
  assert.ok(gone.every((r) => r.success));
});

test('queries: pages, parents, children', async () => {
  const conn = await connect();
  const made = await conn.sobject('Account').create(
    Array.from({ length: 450 }, (_, i) => ({ Name: `Page ${String(i).padStart(3, '0')}` })), { allowRecursive: true });
  const soql = "SELECT Id, Name FROM Account WHERE Name LIKE 'Page %' ORDER BY Name";
  const first = await conn.query(soql, { headers: { 'Sforce-Query-Options': 'batchSize=200' } });
  assert.equal(first.totalSize, 450);
  assert.equal(first.done, false);
  const second = await conn.queryMore(first.nextRecordsUrl);
  const third = await conn.queryMore(second.nextRecordsUrl);
  assert.equal(third.done, true);
  assert.deepEqual([...first.records, ...second.records, ...third.records].map((r) => r.Id), made.map((r) => r.id));
  await conn.sobject('Account').destroy(made.map((r) => r.id), { allowRecursive: true });

  const { records: [contact] } = await conn.query("SELECT Name, Account.Name, Account.Owner.Username FROM Contact WHERE Email = 'taro@customer.example'");
  assert.equal(contact.Account.Name, 'Customer Inc.');
  assert.equal(contact.Account.Owner.Username, 'integration@acme.example');
  const { records: [account] } = await conn.query("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account WHERE Name = 'Customer Inc.'");
  assert.deepEqual(account.Contacts.records.map((r) => r.LastName), ['Suzuki', 'Yamada']);
  assert.equal((await conn.sobject('Contact').find({ Email: 'jiro@customer.example' }, ['Id', 'LastName']).limit(1))[0].LastName, 'Suzuki');
});

test('queries: groups, parts of dates, aliases, parents by type', async () => {
  const conn = await connect();
  const made = await conn.sobject('Lead').create([1, 2, 3].map((n) => ({ LastName: 'Grouped', Company: `Group ${Math.ceil(n / 2)}` })));
  const { records: groups } = await conn.query(
    "SELECT Company, COUNT(Id) n FROM Lead WHERE LastName = 'Grouped' GROUP BY Company HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC");
  assert.deepEqual(groups.map((g) => [g.Company, g.n]), [['Group 1', 2]]);
  const { records: [year] } = await conn.query(
    "SELECT CALENDAR_YEAR(CreatedDate) y, COUNT(Id) n FROM Lead l WHERE l.LastName = 'Grouped' AND CreatedDate = THIS_YEAR GROUP BY CALENDAR_YEAR(CreatedDate)");
  assert.deepEqual([year.y, year.n], [new Date().getUTCFullYear(), 3]);
  await conn.sobject('Task').create({ Subject: 'Grouped', WhoId: made[0].id });
  const { records: [task] } = await conn.query("SELECT TYPEOF Who WHEN Lead THEN Company ELSE Name END FROM Task WHERE Subject = 'Grouped'");
  assert.equal(task.Who.Company, 'Group 1');
  await conn.sobject('Lead').destroy(made.map((r) => r.id));
});

test('what was updated and deleted', async () => {
  const conn = await connect();
  const leads = conn.sobject('Lead');
  const [kept, gone] = await leads.create([{ LastName: 'Kept', Company: 'C' }, { LastName: 'Gone', Company: 'C' }]);
  await leads.destroy(gone.id);
  const [start, end] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 3_600_000)];
  assert.ok((await leads.updated(start, end)).ids.includes(kept.id));
  assert.ok((await leads.deleted(start, end)).deletedRecords.some((r) => r.id === gone.id));
  await leads.destroy(kept.id);
});

test('Composite with references', async () => {
  const conn = await connect();
  const base = `/services/data/v${version}`;
  const answer = await conn.requestPost(`${base}/composite`, { allOrNone: false, compositeRequest: [
    { method: 'POST', url: `${base}/sobjects/Account`, referenceId: 'acc', body: { Name: 'Composite' } },
    { method: 'POST', url: `${base}/sobjects/Contact`, referenceId: 'con', body: { LastName: 'Roe', AccountId: '@{acc.id}' } },
  ] });
  assert.deepEqual(answer.compositeResponse.map((r) => r.httpStatusCode), [201, 201]);
});

test('Bulk 2.0: insert, update, upsert, delete, query', async () => {
  const conn = await connect();
  conn.bulk2.pollInterval = 50;
  conn.bulk2.pollTimeout = 300_000;
  const run = (operation, input, more = {}) => conn.bulk2.loadAndWaitForResults({ object: 'Account', operation, input, ...more });
  const rows = Array.from({ length: 300 }, (_, i) => ({ Name: `Bulk ${i}` }));
  const made = await run('insert', [...rows, { Name: 'x'.repeat(256) }]);
  assert.equal(made.successfulResults.length, 300);
  assert.match(made.failedResults[0].sf__Error, /^STRING_TOO_LONG/);
  const ids = made.successfulResults.map((r) => r.sf__Id);
  const changed = await run('update', ids.map((Id) => ({ Id, Name: 'Bulk changed' })));
  assert.equal(changed.successfulResults.length, 300);
  const tasks = [{ Throughline_Key__c: 'bulk-1', Subject: 'Call', WhatId: ids[0] }];
  for (const created of ['true', 'false']) {
    const up = await conn.bulk2.loadAndWaitForResults({ object: 'Task', operation: 'upsert', externalIdFieldName: 'Throughline_Key__c', input: tasks });
    assert.equal(up.successfulResults[0].sf__Created, created);
  }
  const found = await (await conn.bulk2.query("SELECT Id, Name FROM Account WHERE Name = 'Bulk changed'")).toArray();
  assert.deepEqual(found.map((r) => r.Id).sort(), [...ids].sort());
  const gone = await run('delete', ids.map((Id) => ({ Id })));
  assert.equal(gone.successfulResults.length, 300);
});

test('limits', async () => {
  const conn = await connect();
  const limits = await conn.limits();
  assert.ok(limits.DailyApiRequests.Remaining < limits.DailyApiRequests.Max);
  assert.ok(conn.limitInfo.apiUsage.used > 0);
});

test('errors carry Salesforce\'s codes', async () => {
  const conn = await connect();
  await assert.rejects(conn.query('SELECT Nonsense FROM Lead'), { errorCode: 'INVALID_FIELD' });
  await assert.rejects(conn.query('SELECT FROM'), { errorCode: 'MALFORMED_QUERY' });
  await assert.rejects(conn.sobject('Lead').create({ FirstName: 'Nobody' }), { errorCode: 'REQUIRED_FIELD_MISSING' });
  await assert.rejects(conn.sobject('Nothing').describe(), { errorCode: 'NOT_FOUND' });
  const stranger = new jsforce.Connection({ oauth2: { ...app, clientSecret: 'wrong' }, loginUrl, version });
  await assert.rejects(stranger.authorize({ grant_type: 'client_credentials' }), { name: 'invalid_client' });
});
