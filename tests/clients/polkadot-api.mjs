// A wallet's view of the chain by polkadot-api and nothing of ours. It signs a request with Bob's development key, follows the finalised
// events until the job has settled, and reads the result through the view function.

import { connect, digit, fail, finish, hurry, key, show, wanted } from "./common.mjs";

// A job takes about a minute.
hurry();
const { client, api } = connect();

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

const sent = await api.tx.Inference.request(wanted()).signAndSubmit(key("//Bob").signer);
if (!sent.ok) fail(`the request failed: ${show(sent.dispatchError)}`);
const requested = sent.events.find((event) => event.type === "Inference" && event.value.type === "Requested");
const mine = (requested ?? fail("the request became no job")).value.value.job;

const { shares, fee } = await new Promise((resolve) => {
	onPayment = () => mine in payments && resolve(payments[mine]);
	onPayment();
});
if (shares.burned + shares.treasury + shares.royalty + shares.worker !== fee) fail("the shares are not the fee");

const { Committed: pending, Settled: final } = results[mine];
client.destroy();
finish({
	job: Number(mine),
	class: digit(final.result.output.value),
	events: seen.filter(({ payload }) => payload.job === mine).sort((a, b) => a.number - b.number).map(({ type }) => type),
	pending: pending.status.type,
	settled: final.status.type,
	fee,
});
