// jsforce as its documentation shows it: upsert of an array, which it sends in Collections of 200, one after the other.
import { readFileSync } from 'node:fs';
import jsforce from 'jsforce';

const loginUrl = `${process.env.SIMULATOR_URL}/orgs/${process.env.ORG}`;
const conn = new jsforce.Connection({ oauth2: { loginUrl, clientId: 'app', clientSecret: 'secret' }, loginUrl, version: '60.0' });
await conn.authorize({ grant_type: 'client_credentials' });
const records = readFileSync(process.env.RECORDS, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
const began = performance.now();
const results = await conn.sobject('Engagement__c').upsert(records, 'External_Id__c', { allowRecursive: true });
const seconds = (performance.now() - began) / 1000;
if (results.some((r) => !r.success)) throw new Error('a record was refused');
console.log(JSON.stringify({ name: 'jsforce', records: records.length, seconds }));
