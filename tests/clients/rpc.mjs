// The groups of JSON-RPC methods that programs rely on: they are there, and they answer what is so.

import { WebSocket } from "ws";
import { check, connect, env, fail, finish, hex, hurry, key, OPG } from "./common.mjs";

hurry(60_000);
const socket = new WebSocket(env("ASSAY_URL"));
await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)).catch(fail);

const waiting = new Map();
const mailboxes = new Map();
socket.on("message", (data) => {
	const { id, result, error, params } = JSON.parse(data);
	if (params) return mailbox(params.subscription).put(params.result);
	const { resolve, reject } = waiting.get(id);
	waiting.delete(id);
	if (error) reject(new Error(`${error.message} ${JSON.stringify(error.data ?? "")}`));
	else resolve(result);
});

let count = 0;
const ask = (method, ...params) =>
	new Promise((resolve, reject) => {
		waiting.set(++count, { resolve, reject });
		socket.send(JSON.stringify({ jsonrpc: "2.0", id: count, method, params }));
	}).catch((error) => fail(`${method}: ${error.message}`));

/// What came for a subscription, in order; also what came before anyone looked.
function mailbox(subscription) {
	if (!mailboxes.has(subscription)) {
		const [ready, takers] = [[], []];
		const put = (item) => (takers.length > 0 ? takers.shift()(item) : ready.push(item));
		const take = () => (ready.length > 0 ? ready.shift() : new Promise((resolve) => takers.push(resolve)));
		mailboxes.set(subscription, { put, take });
	}
	return mailboxes.get(subscription);
}

/// The next notification of that name.
async function next(subscription, event) {
	for (;;) {
		const item = await mailbox(subscription).take();
		if (item.event === event) return item;
		check(!/error|stop|inaccessible/i.test(item.event), `${item.event} instead of ${event}`, item);
	}
}

// --- What there is ---

const { methods } = await ask("rpc_methods");
const groups = {
	payment: ["payment_queryInfo", "payment_queryFeeDetails"],
	archive: ["body", "call", "finalizedHeight", "genesisHash", "hashByHeight", "header", "storage"].map((name) => `archive_v1_${name}`),
	chainHead: ["body", "call", "follow", "header", "storage", "unfollow", "unpin"].map((name) => `chainHead_v1_${name}`),
	chainSpec: ["chainName", "genesisHash", "properties"].map((name) => `chainSpec_v1_${name}`),
	transaction: ["transaction_v1_broadcast", "transaction_v1_stop", "transactionWatch_v1_submitAndWatch"],
};
for (const [group, names] of Object.entries(groups)) {
	const missing = names.filter((name) => !methods.includes(name));
	check(missing.length === 0, `of the group ${group} there is no`, missing);
}
const { tokenSymbol, tokenDecimals } = await ask("chainSpec_v1_properties");
check(tokenSymbol === "OPG" && tokenDecimals === 18, "the chain's token is another one", tokenSymbol);

// --- What a transaction costs ---

const { client, api } = connect();
const signed = hex(await api.tx.Workers.bond({ amount: 100n * OPG }).sign(key("//Bob").signer));
const { partialFee } = await ask("payment_queryInfo", signed);
const { inclusionFee } = await ask("payment_queryFeeDetails", signed);
const sum = [inclusionFee.baseFee, inclusionFee.lenFee, inclusionFee.adjustedWeightFee].reduce((sum, part) => sum + BigInt(part), 0n);
check(sum > 0n && sum === BigInt(partialFee), "the fee is not the sum of its parts", { partialFee, inclusionFee });
client.destroy();

// --- The running chain ---

/// Where `System.Number` is: the hashes of both names.
const NUMBER = "0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac";
/// A little-endian number of four bytes.
const number = (text) => Buffer.from(text.slice(2), "hex").readUInt32LE();

const follow = await ask("chainHead_v1_follow", true);
const { finalizedBlockHashes, finalizedBlockRuntime } = await next(follow, "initialized");
check(finalizedBlockRuntime.spec.specName === "assay", "the runtime is another one", finalizedBlockRuntime);
const head = finalizedBlockHashes.at(-1);
const { operationId } = await ask("chainHead_v1_call", follow, head, "Core_version", "0x");
const version = await next(follow, "operationCallDone");
check(version.operationId === operationId, "another call is done", version);
// A string of five letters: its length, and itself.
check(version.output.startsWith(`0x14${Buffer.from("assay").toString("hex")}`), "Core_version says something else", version);
await ask("chainHead_v1_storage", follow, head, [{ key: NUMBER, type: "value" }], null);
const height = number((await next(follow, "operationStorageItems")).items[0].value);
await ask("chainHead_v1_unfollow", follow);

// --- Earlier blocks ---

const finalised = await ask("archive_v1_finalizedHeight");
check(finalised >= height, "the archive is behind", { finalised, height });
check((await ask("archive_v1_genesisHash")) === (await ask("chainSpec_v1_genesisHash")), "the archive is of another chain");
for (const block of [0, finalised]) {
	const [hash] = await ask("archive_v1_hashByHeight", block);
	const body = await ask("archive_v1_body", hash);
	check(block === 0 || body.length > 0, `block ${block} is empty`);
	const storage = await ask("archive_v1_storage", hash, [{ key: NUMBER, type: "value" }]);
	if (block > 0) {
		const { value } = await next(storage, "storage");
		check(number(value) === block, `the state of block ${block} is of another`, value);
	}
	await next(storage, "storageDone");
	const called = await ask("archive_v1_call", hash, "Core_version", "0x");
	check(called.success && called.value === version.output, "archive_v1_call says something else", called);
}

socket.close();
finish({ methods: methods.length, finalised, fee: partialFee });
