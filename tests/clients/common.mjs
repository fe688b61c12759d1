// What the scripts share: their settings, the development keys, a connection, and how they end. Each prints one JSON object; what it is doing
// goes to stderr.

import { sr25519CreateDerive } from "@polkadot-labs/hdkd";
import { DEV_PHRASE, entropyToMiniSecret, mnemonicToEntropy, ss58Address } from "@polkadot-labs/hdkd-helpers";
import { createClient } from "polkadot-api";
import { getPolkadotSigner } from "polkadot-api/signer";
import { getWsProvider } from "polkadot-api/ws";
import { WebSocket } from "ws";

export const OPG = 10n ** 18n;
/// Of every address. See `chain-specs/README.md`.
export const SS58_PREFIX = 42;

export function fail(why) {
	console.error(why instanceof Error ? why.stack : why);
	process.exit(1);
}

export function check(holds, what, seen) {
	if (!holds) fail(new Error(seen === undefined ? what : `${what}: ${show(seen)}`));
}

export const env = (name) => process.env[name] ?? fail(`${name} is not set`);

/// Text of any value, also of large integers and bytes.
export const show = (value) =>
	JSON.stringify(value, (_, part) =>
		typeof part === "bigint" ? part.toString() : part instanceof Uint8Array ? hex(part) : part,
	);

/// Prints what the script found out, and ends it.
export function finish(report) {
	process.stdout.write(`${show(report)}\n`, () => process.exit(0));
}

/// Ends the script if it is not done by then: without news for this long, something is wrong.
export function hurry(milliseconds = 240_000) {
	setTimeout(() => fail(`not done after ${milliseconds / 1000} s`), milliseconds).unref();
}

export const bytes = (text) => Uint8Array.from(Buffer.from(text.replace(/^0x/, ""), "hex"));
export const hex = (data) => `0x${Buffer.from(data).toString("hex")}`;

const derive = sr25519CreateDerive(entropyToMiniSecret(mnemonicToEntropy(DEV_PHRASE)));

/// A development key, such as `//Bob`: its address and, for polkadot-api, its signer.
export function key(path) {
	const { publicKey, sign } = derive(path);
	return { publicKey, address: ss58Address(publicKey, SS58_PREFIX), signer: getPolkadotSigner(publicKey, "Sr25519", sign) };
}

/// A connection by polkadot-api. No generated descriptors: everything is looked up in the metadata of the chain.
export function connect() {
	const client = createClient(getWsProvider(env("ASSAY_URL"), { websocketClass: WebSocket }));
	return { client, api: client.getUnsafeApi() };
}

/// The arguments of `Inference.request` that the settings ask for.
export const wanted = () => ({
	model: env("ASSAY_MODEL"),
	input: { type: "Inline", value: bytes(env("ASSAY_INPUT")) },
	max_fee: BigInt(env("ASSAY_MAX_FEE")),
	coverage: 0n,
	max_output: Number(env("ASSAY_MAX_OUTPUT")),
	deadline: 20,
	window: undefined,
	worker: undefined,
});

/// The digit that an output of the sample model says: the largest of ten float32.
export function digit(output) {
	const raw = typeof output === "string" ? bytes(output) : output;
	const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
	const scores = Array.from({ length: raw.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
	return scores.indexOf(Math.max(...scores));
}
