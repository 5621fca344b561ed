// The Salesforce CLI, unchanged, against the simulator: signs in with an access token, queries, and loads and exports in bulk.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const url = process.env.SIMULATOR_URL;
let home;

// sf runs the CLI in a home folder of its own and returns its JSON answer.
async function sf(args, env = {}) {
  const options = { cwd: home, env: {
    PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS, HOME: home,
    SF_DISABLE_TELEMETRY: 'true', SF_AUTOUPDATE_DISABLE: 'true', SF_SKIP_NEW_VERSION_CHECK: 'true', SF_USE_GENERIC_UNIX_KEYCHAIN: 'true', ...env } };
  const bin = new URL('node_modules/.bin/sf', import.meta.url).pathname;
  try {
    return JSON.parse((await run(process.execPath, [bin, ...args, '--json'], options)).stdout);
  } catch (failed) {
    if (!failed.stdout) throw failed;
    return JSON.parse(failed.stdout);
  }
}

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'sf-'));
});
after(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));

test('sign in with an access token, query, create, load, export', async () => {
  const app = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'clients', client_secret: 'for-the-simulator-only' });
  const { access_token: token } = await (await fetch(`${url}/services/oauth2/token`, { method: 'POST', body: app })).json();
  const login = await sf(['org', 'login', 'access-token', '--instance-url', url, '--no-prompt', '--alias', 'sim', '--set-default'], { SF_ACCESS_TOKEN: token });
  assert.equal(login.status, 0, login.message);
  assert.equal(login.result.username, 'integration@acme.example');

  const found = await sf(['data', 'query', '--target-org', 'sim', '--query', "SELECT LastName, Account.Name FROM Contact WHERE Email = 'taro@customer.example'"]);
  assert.equal(found.status, 0, found.message);
  assert.equal(found.result.records[0].Account.Name, 'Customer Inc.');

  const made = await sf(['data', 'create', 'record', '--target-org', 'sim', '--sobject', 'Lead', '--values', "LastName=Line Company='Command Line'"]);
  assert.equal(made.status, 0, made.message);
  assert.match(made.result.id, /^00Q/);

  const csv = join(home, 'accounts.csv');
  await writeFile(csv, 'Name\nLine A\nLine B\n');
  const loaded = await sf(['data', 'import', 'bulk', '--target-org', 'sim', '--sobject', 'Account', '--file', csv, '--line-ending', 'LF', '--wait', '10']);
  assert.equal(loaded.status, 0, loaded.message);
  assert.deepEqual([loaded.result.processedRecords, loaded.result.failedRecords], [2, 0]);
  const out = join(home, 'out.csv');
  const exported = await sf(['data', 'export', 'bulk', '--target-org', 'sim', '--query', "SELECT Name FROM Account WHERE Name LIKE 'Line %' ORDER BY Name",
    '--output-file', out, '--result-format', 'csv', '--wait', '10']);
  assert.equal(exported.status, 0, exported.message);
  assert.equal(await readFile(out, 'utf8'), '"Name"\n"Line A"\n"Line B"\n');

  const wrong = await sf(['data', 'query', '--target-org', 'sim', '--query', 'SELECT Nonsense FROM Lead']);
  assert.equal(wrong.name, 'INVALID_FIELD');
});
