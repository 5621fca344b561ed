// salesforce-pubsub-api-client, unchanged, against the simulator: change events, and going on from a replay id.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import jsforce from 'jsforce';
import PubSubApiClient from 'salesforce-pubsub-api-client';

const loginUrl = process.env.SIMULATOR_URL;
const app = { loginUrl, clientId: 'clients', clientSecret: 'for-the-simulator-only' };
const topic = '/data/OpportunityChangeEvent';
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error };

// take hands over n events; start subscribes with a callback.
function take(n, start) {
  return new Promise((resolve, reject) => {
    const events = [];
    start((_, type, data) => {
      if (type === 'error') reject(data);
      if (type === 'event' && events.push(data) === n) resolve(events);
    });
  });
}

test('change events, from the beginning and from a replay id', async () => {
  const conn = new jsforce.Connection({ oauth2: app, loginUrl, version: '60.0' });
  await conn.authorize({ grant_type: 'client_credentials' });
  const { organization_id: organizationId } = await conn.identity();
  const client = new PubSubApiClient({
    authType: 'user-supplied', accessToken: conn.accessToken, instanceUrl: conn.instanceUrl, organizationId,
    pubSubEndpoint: process.env.PUBSUB_ENDPOINT, rejectUnauthorizedSsl: false, // it brings certificates of its own
  }, quiet);
  await client.connect();
  const made = await conn.sobject('Opportunity').create({ Name: 'Big', StageName: 'Prospecting', CloseDate: '2030-01-01', Amount: 1 });
  await conn.sobject('Opportunity').update({ Id: made.id, Amount: 2, NextStep: 'Call' });
  await conn.sobject('Opportunity').update({ Id: made.id, NextStep: null });

  const [created, changed, cleared] = await take(3, (callback) => client.subscribeFromEarliestEvent(topic, callback, 3));
  assert.equal(created.payload.ChangeEventHeader.changeType, 'CREATE');
  assert.deepEqual(created.payload.ChangeEventHeader.recordIds, [made.id]);
  assert.equal(created.payload.Name, 'Big');
  const { changedFields } = changed.payload.ChangeEventHeader;
  assert.ok(changedFields.includes('Amount') && changedFields.includes('NextStep') && !changedFields.includes('Name'), changedFields);
  assert.equal(changed.payload.Amount, 2);
  assert.deepEqual(cleared.payload.ChangeEventHeader.nulledFields, ['NextStep']);

  const again = new PubSubApiClient({
    authType: 'user-supplied', accessToken: conn.accessToken, instanceUrl: conn.instanceUrl, organizationId,
    pubSubEndpoint: process.env.PUBSUB_ENDPOINT, rejectUnauthorizedSsl: false,
  }, quiet);
  await again.connect();
  const [next] = await take(1, (callback) => again.subscribeFromReplayId(topic, callback, 1, created.replayId));
  assert.equal(next.replayId, changed.replayId);
  client.close();
  again.close();
  // Closing leaves the streams open on the wire, and the process waiting for the server to end them.
  setTimeout(() => process.exit(), 500).unref();
});
