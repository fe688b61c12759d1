// How large the most used transactions are and what they cost, as a Markdown table. `scripts/bench-extrinsics` runs it against a development
// chain: its model is the only one, and takes and returns float32.

import { blake2b256 } from "@polkadot-labs/hdkd-helpers";
import { check, connect, fail, hex, hurry, key, OPG } from "./common.mjs";

hurry();
const { client, api } = connect();
const { tx, view, query } = api;
const bob = key("//Bob");

const [{ keyArgs: [model], value: record }] = await query.Models.Models.getEntries();
const length = (tensors) => tensors.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * Number(dim), 4), 0);
const input = length(record.header.inputs);
const max_output = length(record.header.outputs);
const max_fee = await view.Inference.quote(model, 0n, 20);
// A picture in shades of grey.
const shades = new Uint8Array(Float32Array.from({ length: input / 4 }, (_, pixel) => (4 * pixel) / input).buffer);
const request = tx.Inference.request({
	model,
	input: { type: "Inline", value: shades },
	max_fee,
	coverage: 0n,
	max_output,
	deadline: 20,
	window: undefined,
	worker: undefined,
});

// One of these, so that there is an answer: its transaction is not signed by an account.
const sent = await request.signAndSubmit(bob.signer);
check(sent.ok, "the request failed", sent.dispatchError);
const { job } = sent.events.find(({ value }) => value.type === "Requested").value.value;
const committed = await new Promise((resolve) => {
	const look = ({ block, events }) => events.filter(({ payload }) => payload.job === job).forEach(({ payload }) => resolve({ block, ...payload }));
	api.event.Inference.Committed.watch().subscribe({ next: look, error: fail });
});
/// The length that stands before an encoded transaction takes 1, 2 or 4 bytes; a transaction without a signer, of format 5, follows.
const isAnswer = (bytes) => bytes[[1, 2, 4][bytes[0] & 3]] === 0x45;
const body = await client.getBlockBody(committed.block.hash);
const answer = body.find(isAnswer);

const { header, input_names, output_names, artifacts, price, royalty, policy } = record;
const registration = { header, input_names, output_names, artifacts, price, royalty, policy };
const terms = { capacity: 4, min_price: OPG / 50n, coverage_price: 1_000, min_deadline: 3 };
const salt = hex(blake2b256(bob.publicKey));
const calls = [
	tx.Balances.transfer_keep_alive({ dest: { type: "Id", value: key("//Eve").address }, value: OPG }),
	request,
	tx.Models.register_model({ name: record.name, registration }),
	tx.Workers.bond({ amount: 100_000n * OPG }),
	tx.Workers.bond_extra({ amount: 1_000n * OPG }),
	tx.Workers.serve_model({ model, terms }),
	tx.Workers.unbond({ amount: 1_000n * OPG }),
	tx.Workers.withdraw(),
	tx.Rewards.payout_era({ worker: key("//Charlie").address, era: 1 }),
	tx.Disputes.seal({ hash: salt }),
	tx.Disputes.challenge({ job, claim: committed.claim, salt, max_fee: OPG / 10n }),
];

const opg = (planck) => (Number(planck) / Number(OPG)).toFixed(6);
console.log("| call | bytes | fee, OPG |\n|---|---|---|");
for (const call of calls) {
	const { type, value } = call.decodedCall;
	const signed = await call.sign(bob.signer);
	const { partialFee } = await client._request("payment_queryInfo", [hex(signed)]);
	console.log(`| \`${type}.${value.type}\` | ${signed.length} | ${opg(BigInt(partialFee))} |`);
}
console.log(`| \`Inference.commit\`, by a service key | ${answer.length} | 0 |`);

const multiplier = Number(await query.TransactionPayment.NextFeeMultiplier.getValue()) / 1e18;
const charge = await view.Inference.charge_for(max_output);
console.log(`\nThe fee multiplier is ${multiplier.toFixed(3)}; the input has ${input} bytes, the output ${max_output}.`);
console.log(`Beside its fee, the request pays ${opg(charge)} OPG for the transaction of its answer.`);
client.destroy();
process.exit(0);
