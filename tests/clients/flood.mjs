// How many transfers a second a development chain takes, whichever it is, as a row of a Markdown table. `scripts/bench-transfers` runs it against
// nodes whose pool has room. Two hundred accounts send; the rate is that of the blocks between the first and the last full one, by their own
// timestamps.

import { Keyring, WsProvider, ApiPromise } from "@polkadot/api";
import { xxhashAsHex } from "@polkadot/util-crypto";
import { check, env, hurry } from "./common.mjs";

hurry(900_000);
const SENDERS = 200;
const EACH = Number(process.env.ASSAY_EACH ?? 100);
/// Transactions that wait in the pool: a few blocks' worth.
const WAITING = 8_000;
/// Transactions that are on their way to the node at once.
const BATCH = 100;

const provider = new WsProvider(env("ASSAY_URL"));
const api = await ApiPromise.create({ provider, noInitWarn: true });
const ask = (method, ...params) => provider.send(method, params);
const keyring = new Keyring({ type: "sr25519" });
const bob = keyring.addFromUri("//Bob");
const senders = Array.from({ length: SENDERS }, (_, number) => keyring.addFromUri(`//bench//${number}`));

const blockHash = api.genesisHash;
const era = api.registry.createType("ExtrinsicEra");
function transfer(from, nonce, to, value) {
	const call = api.tx.balances.transferKeepAlive(to.address, value);
	return call.sign(from, { blockHash, genesisHash: blockHash, era, nonce, runtimeVersion: api.runtimeVersion }).toHex();
}

async function send(transactions) {
	for (let at = 0; at < transactions.length; at += BATCH) {
		await Promise.all(transactions.slice(at, at + BATCH).map((hex) => ask("author_submitExtrinsic", hex)));
	}
}

const NOW = xxhashAsHex("Timestamp", 128) + xxhashAsHex("Now", 128).slice(2);
/// Whether somebody has signed an encoded transaction: the length that stands before it takes 1, 2 or 4 bytes.
const isSigned = (hex) => (parseInt(hex.substr(2 + 2 * [1, 2, 4][parseInt(hex.substr(2, 2), 16) & 3], 2), 16) & 0x80) !== 0;
/// How many signed transactions a block has, and when it was made, in seconds.
async function look(hash) {
	const [{ block }, now] = await Promise.all([ask("chain_getBlock", hash), ask("state_getStorage", NOW, hash)]);
	return { count: block.extrinsics.filter(isSigned).length, time: Number(Buffer.from(now.slice(2), "hex").readBigUInt64LE()) / 1_000 };
}

/// Each block of the best chain after a number, in order. There is one validator: nothing is taken back.
async function* blocks(number) {
	for (;;) {
		const hash = await ask("chain_getBlockHash", number);
		if (hash) {
			yield await look(hash);
			number += 1;
		} else await new Promise((resolve) => setTimeout(resolve, 50));
	}
}
const height = async () => Number((await ask("chain_getHeader")).number);

// The senders get something, from somebody who has much.
const { data } = await api.query.system.account(bob.address);
const share = data.free.toBigInt() / 1_000n;
const first = (await api.query.system.account(bob.address)).nonce.toNumber();
await send(senders.map((who, number) => transfer(bob, first + number, who, share)));
console.error("signing");
const value = api.consts.balances.existentialDeposit;
const waiting = [];
for (let nonce = 0; nonce < EACH; nonce += 1) {
	senders.forEach((who, number) => waiting.push(transfer(who, nonce, senders[(number + 1) % SENDERS], value)));
}
const last = await api.query.system.account(senders.at(-1).address);
check(last.data.free.toBigInt() === share, "the senders were not endowed");

const all = waiting.length;
const from = (await height()) + 1;
await send(waiting.splice(0, WAITING));
const seen = [];
let done = 0;
for await (const block of blocks(from)) {
	seen.push(block);
	done += block.count;
	console.error(`${block.count} transfers`);
	if (done >= all) break;
	await send(waiting.splice(0, block.count));
}
const most = Math.max(...seen.map(({ count }) => count));
const full = ({ count }) => 2 * count >= most;
const [start, end] = [seen.findIndex(full), seen.findLastIndex(full)];
check(end > start, "the run was too short to say anything", seen);
const sum = seen.slice(start + 1, end + 1).reduce((sum, { count }) => sum + count, 0);
const rate = sum / (seen[end].time - seen[start].time);
const name = (await api.rpc.system.name()).toString();
console.log(`| ${name} | ${rate.toFixed(0)} | ${most} | ${((seen[end].time - seen[start].time) / (end - start)).toFixed(1)} |`);
await api.disconnect();
