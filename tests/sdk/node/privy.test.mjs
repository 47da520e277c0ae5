// Privy's own SDK judges the table of forgeries that Tollgate is held against, and both judge tokens of today.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { verifyAccessToken } from "@privy-io/node";
import { createLocalJWKSet } from "jose";
import { SERVER } from "./support.mjs";

const PRIVY = process.env.PRIVY_URL;
const APP = process.env.PRIVY_APP_ID;
const DID = `did:privy:node${process.pid}`;

async function json(url, body) {
  const answer = await fetch(url, {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

const keySet = async () => createLocalJWKSet((await json(`${PRIVY}/api/v1/apps/${APP}/jwks.json`)).body);

const taken = (token, keys) =>
  verifyAccessToken({ access_token: token, app_id: APP, verification_key: keys }).then(
    () => true,
    () => false,
  );

test("the table of forgeries says of Privy's SDK what it does", async () => {
  const now = 1_800_000_000;
  const { body: attacks } = await json(`${PRIVY}/sim/privy/attacks`, { did: DID, now });
  const keys = await keySet();
  mock.timers.enable({ apis: ["Date"], now: now * 1000 });
  try {
    const wrong = [];
    for (const { name, token, sdk } of attacks) if ((await taken(token, keys)) !== sdk) wrong.push(`${name}: ${!sdk}`);
    assert.deepEqual(wrong, []);
  } finally {
    mock.timers.reset();
  }
  assert.ok(attacks.length >= 60);
  const laxer = attacks.filter(({ sdk, tollgate, to_the_second }) => tollgate && !sdk && !to_the_second);
  assert.deepEqual(laxer, []);
  console.log(`promise A1: ${attacks.length} tokens, judged by Privy's SDK as the table says`);
});

test("a token that Privy's SDK takes signs in, and one that it refuses does not", async () => {
  const now = Math.floor(Date.now() / 1000);
  const { body } = await json(`${PRIVY}/sim/privy/token`, { did: DID, now });
  const keys = await keySet();
  const user = { id: DID, createdAt: new Date().toISOString(), linkedAccounts: [{ type: "email", address: `node${process.pid}@example.org` }] };
  assert.equal(await taken(body.token, keys), true);
  const signedIn = await json(`${SERVER}/auth`, { user, token: body.token });
  assert.equal(signedIn.status, 200);
  assert.equal(signedIn.body.privy_user_id, DID);
  const balance = await fetch(`${SERVER}/user/balance`, { headers: { Authorization: `Bearer ${signedIn.body.api_key}` } });
  assert.equal(balance.status, 200);
  const { body: old } = await json(`${PRIVY}/sim/privy/token`, { did: DID, now: now - 7200 });
  assert.equal(await taken(old.token, keys), false);
  assert.equal((await json(`${SERVER}/auth`, { user, token: old.token })).status, 401);
});

test("a rotation is seen by Privy's SDK and by the server", async () => {
  const now = Math.floor(Date.now() / 1000);
  await json(`${PRIVY}/sim/privy/rotate`, {});
  const { body } = await json(`${PRIVY}/sim/privy/token`, { did: DID, now });
  assert.equal(await taken(body.token, await keySet()), true);
  // The server asks again for a key that it does not know, half a minute after it has asked last at the latest.
  const deadline = Date.now() + 35_000;
  let answer;
  do {
    answer = await json(`${SERVER}/auth`, { user: { id: DID }, token: body.token });
    if (answer.status !== 200) await new Promise((wake) => setTimeout(wake, 1_000));
  } while (answer.status !== 200 && Date.now() < deadline);
  assert.equal(answer.status, 200);
});
