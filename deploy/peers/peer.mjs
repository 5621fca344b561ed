// jsforce as its documentation shows it: upsert of an array, which it sends in Collections of 200, one after the other.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import jsforce from 'jsforce';

const loginUrl = process.env.SIMULATOR_URL;
const conn = new jsforce.Connection({ oauth2: { loginUrl, clientId: 'app', clientSecret: 'secret' }, loginUrl, version: '60.0' });
await conn.authorize({ grant_type: 'client_credentials' });
const records = readFileSync(process.env.RECORDS, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
const remaining = async () => (await conn.request('/services/data/v60.0/limits')).DailyApiRequests.Remaining;
const before = await remaining();
const began = performance.now();
const results = await conn.sobject('Engagement__c').upsert(records, 'External_Id__c', { allowRecursive: true });
const seconds = (performance.now() - began) / 1000;
const calls = before - await remaining() - 1;
if (results.some((r) => !r.success)) throw new Error('a record was refused');
const found = await conn.query('SELECT External_Id__c, Title__c, View_Count__c FROM Engagement__c', { autoFetch: true, maxFetch: 1e6 });
const lines = found.records.map((r) => `${r.External_Id__c}|${r.Title__c}|${Math.trunc(r.View_Count__c)}`).sort();
const digest = createHash('sha256').update(lines.join('\n')).digest('hex');
console.log(JSON.stringify({ name: 'jsforce', records: records.length, seconds, calls, stands: lines.length, digest }));
