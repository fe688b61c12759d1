// A wallet's view of the chain by @polkadot/api: fees that are shown before anything is signed, mortal and immortal transactions, an answer from
// the worker, and everything that it shows in words that people can read.

import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";
import { check, digit, env, fail, finish, hex, hurry, OPG, SS58_PREFIX, wanted } from "./common.mjs";

hurry();
const api = await ApiPromise.create({ provider: new WsProvider(env("ASSAY_URL")), noInitWarn: true });
const keyring = new Keyring({ type: "sr25519", ss58Format: SS58_PREFIX });
const bob = keyring.addFromUri("//Bob");
const eve = keyring.addFromUri("//Eve");

check(api.registry.chainTokens[0] === "OPG" && api.registry.chainDecimals[0] === 18, "the token is another one");
check(api.registry.chainSS58 === SS58_PREFIX, "addresses have another prefix");

/// Signs, submits, and waits until it is in a block; with the transaction as the block has it.
function send(call, who, options = {}) {
	const { section, method } = call.method;
	return new Promise((resolve, reject) => {
		const follow = async ({ status, events, dispatchError, txIndex }) => {
			if (status.isInvalid || status.isDropped || status.isUsurped) throw new Error(`${section}.${method}: ${status}`);
			if (!status.isInBlock) return;
			const { block } = await api.rpc.chain.getBlock(status.asInBlock);
			console.error(`block ${block.header.number}: ${section}.${method} ${dispatchError ? "failed" : ""}`);
			const included = block.extrinsics[txIndex];
			resolve({ events, error: dispatchError, hash: status.asInBlock, parent: block.header.parentHash, included });
		};
		call.signAndSend(who, options, (result) => follow(result).catch(reject)).catch(reject);
	});
}

/// The event of that name which a transaction caused.
function event(sent, section, method) {
	const found = sent.events.find(({ event }) => event.section === section && event.method === method);
	return (found ?? fail(`there is no ${section}.${method} in ${sent.events.map(({ event }) => event.method)}`)).event;
}

/// What a view function says. @polkadot/api knows the call that all of them go through, and their types, but has no names for them.
async function view(pallet, name, ...values) {
	const found = api.runtimeMetadata.asV16.pallets.find((found) => found.name.eq(pallet));
	const { id, inputs, output } = found.viewFunctions.find((view) => view.name.eq(name));
	const type = (lookup) => api.registry.createLookupType(lookup);
	const encoded = inputs.map((input, index) => api.createType(type(input.type), values[index]).toU8a());
	const answer = await api.call.runtimeViewFunction.executeViewFunction(id, hex(Buffer.concat(encoded)));
	check(answer.isOk, `${pallet}.${name} cannot be carried out`, answer.toHuman());
	return api.createType(type(output), answer.asOk.toU8a(true));
}

/// What an amount on a screen is.
const planck = (shown) => BigInt(shown.replaceAll(",", ""));

// --- An immortal transaction, and what it costs before it is sent ---

const bond = api.tx.workers.bond(200n * OPG);
const shown = (await bond.paymentInfo(eve)).partialFee.toBigInt();
const bonded = await send(bond, eve, { era: 0 });
check(!bonded.error, "workers.bond failed", bonded.error?.toHuman());
check(bonded.included.isSigned && bonded.included.era.isImmortalEra, "the transaction is mortal");
const paid = event(bonded, "transactionPayment", "TransactionFeePaid").data.actualFee.toBigInt();
// Fees fall a little with every block that is not full. What the block before says is what is paid.
const raw = bonded.included.toU8a();
const { partialFee } = await (await api.at(bonded.parent)).call.transactionPaymentApi.queryInfo(raw, raw.length);
check(paid > 0n && partialFee.eq(paid), "the fee is another than was shown", { partialFee, paid });
check(100n * paid <= 102n * shown && 100n * shown <= 102n * paid, "the preview is far off", { shown, paid });

const worker = (await api.query.workers.workers(eve.address)).unwrap();
check(worker.bonded.toBigInt() === 200n * OPG, "workers.bond bonded something else", worker.toHuman());
const status = (await view("Workers", "worker_status", eve.address)).unwrap();
check(status.bonded.eq(worker.bonded), "the view function says something else", status.toHuman());

// --- How it shows on a screen ---

const human = event(bonded, "workers", "Bonded").toHuman();
check(human.section === "workers" && human.data.worker === eve.address, "the event does not read well", human);
check(planck(human.data.amount) === 200n * OPG, "the event's amount does not read well", human);

const again = await send(bond, eve);
check(again.included.era.isMortalEra, "the transaction is immortal");
check(again.error?.isModule, "a worker can bond twice", again.error?.toHuman());
const { section, name, docs } = api.registry.findMetaError(again.error.asModule);
check(section === "workers" && name === "AlreadyBonded", "bonding twice fails by another name", `${section}.${name}`);
check(docs.join(" ").includes("`bond_extra`"), "the error does not say what to do", docs);

const model = (await api.query.models.models(wanted().model)).unwrap().toHuman();
check(model.name === "digits" && model.inputNames[0] === "image", "text is not shown as text", model);
check(model.status === "Active", "the model's status is not shown by its name", model);

// --- A mortal request, and its answer ---

const { input, ...rest } = wanted();
const request = api.tx.inference.request(
	rest.model,
	{ [input.type]: hex(input.value) },
	rest.max_fee,
	rest.coverage,
	rest.max_output,
	rest.deadline,
	rest.window,
	rest.worker,
);
const call = request.method.toHuman();
check(call.section === "inference" && call.args.model === rest.model, "the call does not read well", call);
check("Inline" in call.args.input && planck(call.args.max_fee) === rest.max_fee, "its arguments do not read well", call);

const sent = await send(request, bob);
check(!sent.error, "inference.request failed", sent.error?.toHuman());
check(sent.included.era.isMortalEra, "the transaction is immortal");
const { job } = event(sent, "inference", "Requested").data;
const { stage } = (await (await api.at(sent.hash)).query.inference.jobs(job)).unwrap().toHuman();
check("Waiting" in stage, "the job's stage is not shown by its name", stage);

const result = await new Promise((resolve) => {
	api.query.inference.results(job, (found) => found.isSome && resolve(found.unwrap()));
});
check(result.requester.eq(bob.address), "the answer is for somebody else", result.toHuman());
const seen = (await view("Inference", "result", job)).unwrap();
check(seen.result.outputRoot.eq(result.outputRoot), "the view function says something else", seen.toHuman());

await api.disconnect();
finish({ job: job.toNumber(), class: digit(result.output.asInline.toU8a(true)), status: seen.status.type, fee: paid });
