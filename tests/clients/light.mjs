// A light client, smoldot, that knows a chain by its raw spec alone and follows its finality. The spec is the file ASSAY_SPEC and names nodes
// that can be reached (`bootNodes`); the client ends after ASSAY_HEADS finalised blocks, and says which.

import { readFileSync } from "node:fs";
import { start } from "smoldot";
import { check, env, fail, finish, hurry } from "./common.mjs";

hurry();
const heads = Number(env("ASSAY_HEADS"));
const spec = JSON.parse(readFileSync(env("ASSAY_SPEC"), "utf8"));
check(spec.genesis?.raw, "the chain spec is not raw: make it with `assay-node export-chain-spec --raw`");
check(spec.bootNodes?.length > 0, "the chain spec has no boot nodes, so nobody can be reached");

const LEVELS = ["", "error", "warn", "info", "debug", "trace"];
const logCallback = (level, target, message) => console.error(`${LEVELS[level]} ${target}: ${message}`);
// 5 shows everything.
const client = start({ maxLogLevel: Number(process.env.ASSAY_LOG ?? 3), logCallback });
const chain = await client.addChain({ chainSpec: JSON.stringify(spec) }).catch(fail);

let count = 0;
/// What each request is about: the block whose header it asks for, or the subscription.
const asked = new Map();
function ask(about, method, ...params) {
	asked.set(++count, about);
	chain.sendJsonRpc(JSON.stringify({ jsonrpc: "2.0", id: count, method, params }));
}

/// The number in an encoded header: a compact integer behind the hash of the parent.
function number(header) {
	const bytes = Buffer.from(header.slice(2), "hex").subarray(32);
	const mode = bytes[0] & 3;
	check(mode < 3, "the number of a block is too large", header);
	return (mode === 0 ? bytes[0] : mode === 1 ? bytes.readUInt16LE() : bytes.readUInt32LE()) >>> 2;
}

const FOLLOW = "follow";
let follow;
const seen = [];
ask(FOLLOW, "chainHead_v1_follow", false);
for await (const text of chain.jsonRpcResponses) {
	const { id, result, error, params } = JSON.parse(text);
	const about = asked.get(id);
	asked.delete(id);
	if (error) fail(`${about}: ${error.message}`);
	if (about === FOLLOW) follow = result;
	else if (about) {
		const head = { number: number(result), hash: about };
		console.error(`finalised: ${head.number} ${head.hash}`);
		if (seen.length > 0) check(head.number === seen.at(-1).number + 1, "a finalised block was left out", head);
		seen.push(head);
		if (seen.length >= heads) break;
	}
	const { event, finalizedBlockHashes } = params?.result ?? {};
	// Those of `initialized` are where it starts: what it was told, not what it has seen.
	if (event === "finalized") finalizedBlockHashes.forEach((hash) => ask(hash, "chainHead_v1_header", follow, hash));
	if (event === "stop") {
		// It has jumped ahead over blocks that it does not need; what follows is without a gap again.
		seen.length = 0;
		ask(FOLLOW, "chainHead_v1_follow", false);
	}
}
await client.terminate();
finish({ finalised: seen });
