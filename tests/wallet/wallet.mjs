// A wallet's view of the chain: polkadot-api and nothing of ours. It signs a request with Bob's development key, follows the
// finalised events, and reads the result through the view function. Prints one JSON object; progress goes to stderr.

import { sr25519CreateDerive } from "@polkadot-labs/hdkd";
import { DEV_PHRASE, entropyToMiniSecret, mnemonicToEntropy } from "@polkadot-labs/hdkd-helpers";
import { createClient } from "polkadot-api";
import { getPolkadotSigner } from "polkadot-api/signer";
import { getWsProvider } from "polkadot-api/ws";
import { WebSocket } from "ws";

const env = (name) => process.env[name] ?? fail(`${name} is not set`);
const fail = (why) => {
	console.error(why);
	process.exit(1);
};
// A job takes about a minute. Without news for this long, something is wrong.
const PATIENCE = 240_000;
setTimeout(() => fail("the job did not settle in time"), PATIENCE).unref();

const bytes = (hex) => Uint8Array.from(Buffer.from(hex.slice(2), "hex"));
const derive = sr25519CreateDerive(entropyToMiniSecret(mnemonicToEntropy(DEV_PHRASE)));
const bob = derive("//Bob");
const signer = getPolkadotSigner(bob.publicKey, "Sr25519", bob.sign);

const client = createClient(getWsProvider(env("ASSAY_URL"), { websocketClass: WebSocket }));
// No generated descriptors: everything is looked up in the metadata of the chain.
const api = client.getUnsafeApi();

// Every event of the pallet, from now on; and what the view function says of a job when it is answered and when it settles.
const seen = [];
const results = {};
const payments = {};
let onPayment = () => {};

async function note(block, type, payload) {
	seen.push({ type, number: block.number, payload });
	console.error(`block ${block.number}: ${type} of job ${payload.job}`);
	if (type === "Expired" || type === "Cancelled") fail(`job ${payload.job} ended without an answer`);
	if (type !== "Committed" && type !== "Settled") return;
	const result = await api.view.Inference.result(payload.job, { at: block.hash });
	(results[payload.job] ??= {})[type] = result;
	if (type === "Settled") {
		payments[payload.job] = payload;
		onPayment();
	}
}

for (const type of ["Requested", "Assigned", "Committed", "Settled", "Missed", "Declined", "Expired", "Cancelled"]) {
	api.event.Inference[type].watch().subscribe({
		next: ({ block, events }) => events.forEach(({ payload }) => note(block, type, payload).catch(fail)),
		error: fail,
	});
}

const request = api.tx.Inference.request({
	model: env("ASSAY_MODEL"),
	input: { type: "Inline", value: bytes(env("ASSAY_INPUT")) },
	max_fee: BigInt(env("ASSAY_MAX_FEE")),
	coverage: 0n,
	max_output: Number(env("ASSAY_MAX_OUTPUT")),
	deadline: 20,
	window: undefined,
	worker: undefined,
});
const sent = await request.signAndSubmit(signer);
if (!sent.ok) fail(`the request failed: ${JSON.stringify(sent.dispatchError)}`);
const requested = sent.events.find((event) => event.type === "Inference" && event.value.type === "Requested");
const mine = (requested ?? fail("the request became no job")).value.value.job;

const { shares, fee } = await new Promise((resolve) => {
	onPayment = () => mine in payments && resolve(payments[mine]);
	onPayment();
});
if (shares.burned + shares.treasury + shares.royalty + shares.worker !== fee) fail("the shares are not the fee");

const { Committed: pending, Settled: final } = results[mine];
const raw = final.result.output.value;
const output = typeof raw === "string" ? bytes(raw) : raw;
const view = new DataView(output.buffer, output.byteOffset, output.byteLength);
const scores = Array.from({ length: output.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
console.log(
	JSON.stringify({
		job: Number(mine),
		class: scores.indexOf(Math.max(...scores)),
		events: seen.filter(({ payload }) => payload.job === mine).sort((a, b) => a.number - b.number).map(({ type }) => type),
		pending: pending.status.type,
		settled: final.status.type,
		fee: fee.toString(),
	}),
);
client.destroy();
process.exit(0);
