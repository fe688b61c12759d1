// The ways in which a wallet signs, by polkadot-api: mortal and immortal, with the metadata's hash as a Ledger does, in batches, as a proxy
// and as a multisig. Each ends in what the chain says then. The accounts are different ones, so that all goes on at once.

import { getMultisigAccountId, sortMultisigSignatories } from "@polkadot-api/substrate-bindings";
import { ss58Address } from "@polkadot-labs/hdkd-helpers";
import { InvalidTxError } from "polkadot-api";
import { withMetadataHash } from "polkadot-api/signer";
import { check, connect, fail, finish, hex, hurry, key, OPG, show, SS58_PREFIX, wanted } from "./common.mjs";

hurry();
const { client, api } = connect();
const { tx, view } = api;
const status = (who) => view.Workers.worker_status(who.address);
const id = (who) => ({ type: "Id", value: who.address });
const name = ({ decodedCall: { type, value } }) => `${type}.${value.type}`;

/// Signs, submits, and waits until it is final. It may fail on the chain.
async function attempt(call, who, options) {
	const sent = await client.submit(await call.sign(who.signer, options));
	console.error(`block ${sent.block.number}: ${name(call)} ${sent.ok ? "" : "failed"}`);
	return sent;
}

/// Like `attempt`, for a call that must not fail.
async function send(call, who, options) {
	const sent = await attempt(call, who, options);
	check(sent.ok, `${name(call)} failed`, sent.dispatchError);
	return sent;
}

/// The fields of the event of that name which a transaction caused.
function event(sent, pallet, type) {
	const found = sent.events.find((event) => event.type === pallet && event.value.type === type);
	return (found ?? fail(`there is no ${pallet}.${type} in ${show(sent.events)}`)).value.value;
}

/// The name of an error of a pallet, such as `Workers.BondTooSmall`.
const error = (dispatch) =>
	dispatch?.type === "Module" ? `${dispatch.value.type}.${dispatch.value.value.type}` : show(dispatch);

/// Whether a signed transaction names an era in which it is valid. The era stands behind the length, the version, the address and an sr25519
/// signature; none of the extensions before it takes a byte.
const isMortal = (signed) => signed[[1, 2, 4][signed[0] & 3] + 1 + 33 + 65] !== 0;

async function mortality() {
	const eve = key("//Eve");
	const bond = tx.Workers.bond({ amount: 200n * OPG });
	const forEver = { mortality: { mortal: false } };
	check(!isMortal(await bond.sign(eve.signer, forEver)), "an immortal transaction has an era");
	await send(bond, eve, forEver);
	check((await status(eve)).bonded === 200n * OPG, "the immortal Workers.bond bonded something else");

	const extra = tx.Workers.bond_extra({ amount: 5n * OPG });
	const forAWhile = { mortality: { mortal: true, period: 32 } };
	check(isMortal(await extra.sign(eve.signer, forAWhile)), "a mortal transaction has no era");
	await send(extra, eve, forAWhile);
	check((await status(eve)).bonded === 205n * OPG, "the mortal Workers.bond_extra bonded something else");

	const none = await attempt(tx.Workers.pause(), key("//Eve//poor")).catch((thrown) => thrown);
	check(none instanceof InvalidTxError && none.error.value.type === "Payment", "one who cannot pay is not told so", none);
	return (await status(eve)).bonded;
}

async function metadataHash() {
	const account = key("//Ferdie");
	const ledger = { ...account, signer: withMetadataHash({ decimals: 18, tokenSymbol: "OPG" }, account.signer) };
	await send(tx.Workers.bond({ amount: 300n * OPG }), ledger);
	check((await status(account)).bonded === 300n * OPG, "Workers.bond with the metadata's hash bonded something else");

	// A device that was told another token shows other amounts: what it signs is not valid here.
	const fooled = { ...account, signer: withMetadataHash({ decimals: 12, tokenSymbol: "OPG" }, account.signer) };
	const extra = tx.Workers.bond_extra({ amount: 100n * OPG });
	const refused = await attempt(extra, fooled).catch((thrown) => thrown);
	check(refused instanceof InvalidTxError, "a wrong metadata hash is accepted", refused);
	check(refused.error.value.type === "BadProof", "a wrong metadata hash is refused for something else", refused.error);
	// The node says so too, not only the client that asked it first.
	const raw = hex(await extra.sign(fooled.signer));
	const answer = await client._request("author_submitExtrinsic", [raw]).catch((thrown) => thrown);
	check(/bad signature/i.test(show(answer)), "the node takes a wrong metadata hash", answer);
	check((await status(account)).bonded === 300n * OPG, "a refused transaction did something");
	return refused.error.value.type;
}

async function batch() {
	const one = key("//One");
	const all = (calls) => tx.Utility.batch_all({ calls: calls.map((call) => call.decodedCall) });
	const start = [tx.Workers.bond({ amount: 150n * OPG }), tx.Workers.limit_claims({ max_claims: 7 })];
	// The last call fails, and nothing of the batch stays.
	const failed = await attempt(all([...start, tx.Workers.unbond({ amount: 151n * OPG })]), one);
	check(error(failed.dispatchError) === "Workers.NotEnoughBonded", "the batch fails for something else", failed);
	check((await status(one)) === undefined, "a batch that failed did something");

	const serviceKey = tx.Workers.set_service_key({ key: hex(key("//One//service").publicKey) });
	const terms = { capacity: 2, min_price: 30n * OPG, coverage_price: 1_000, min_deadline: 4 };
	const sent = await send(all([...start, serviceKey, tx.Workers.serve_model({ model: wanted().model, terms })]), one);
	check(sent.events.filter(({ value }) => value.type === "ItemCompleted").length === 4, "not all of the batch was done");
	const { bonded, max_claims, services } = await status(one);
	check(bonded === 150n * OPG && max_claims === 7 && services[0][1].capacity === 2, "the batch did something else", services);
	return services.length;
}

/// What each type of proxy may do, and what it may not. `done` looks whether it happened to the real account.
const PROXIES = {
	Requester: {
		may: () => tx.Inference.request(wanted()),
		done: async (real, sent) => {
			const { job } = event(sent, "Inference", "Requested");
			return (await view.Inference.job(job, { at: sent.block.hash })).requester === real.address;
		},
		mayNot: () => tx.Workers.bond_extra({ amount: OPG }),
	},
	Operator: {
		may: () => tx.Workers.pause(),
		done: async (real) => (await status(real)).paused,
		mayNot: () => tx.Workers.unbond({ amount: 50n * OPG }),
	},
};

async function proxy() {
	const [real, helper] = [key("//Two"), key("//Bob//stash")];
	await send(tx.Workers.bond({ amount: 250n * OPG }), real);
	for (const [type, { may, done, mayNot }] of Object.entries(PROXIES)) {
		const as = (call) => tx.Proxy.proxy({ real: id(real), force_proxy_type: undefined, call: call.decodedCall });
		const definition = { delegate: id(helper), proxy_type: { type, value: undefined }, delay: 0 };
		await send(tx.Proxy.add_proxy(definition), real);

		const sent = await send(as(may()), helper);
		const { result } = event(sent, "Proxy", "ProxyExecuted");
		check(result.success, `the ${type} may not ${name(may())}`, result);
		check(await done(real, sent), `${name(may())} by the ${type} did not happen to the real account`);

		const filtered = event(await send(as(mayNot()), helper), "Proxy", "ProxyExecuted").result;
		check(error(filtered.value) === "System.CallFiltered", `the ${type} may ${name(mayNot())}`, filtered);
		check((await status(real)).bonded === 250n * OPG, `the ${type} moved stake`);
		await send(tx.Proxy.remove_proxy(definition), real);
	}
	return Object.keys(PROXIES);
}

async function multisig() {
	const members = [key("//Alice"), key("//Bob"), key("//Dave")];
	const threshold = 2;
	const signatories = members.map(({ publicKey }) => publicKey);
	const address = (account) => ss58Address(account, SS58_PREFIX);
	const shared = { address: address(getMultisigAccountId({ threshold, signatories })) };
	const call = tx.Workers.bond({ amount: 120n * OPG });
	const { weight: max_weight } = await call.getPaymentInfo(members[0].publicKey);
	const approve = (who, maybe_timepoint) => {
		const others = signatories.filter((member) => member !== who.publicKey);
		const other_signatories = sortMultisigSignatories(others).map(address);
		return send(tx.Multisig.as_multi({ threshold, other_signatories, maybe_timepoint, call: call.decodedCall, max_weight }), who);
	};

	await send(tx.Balances.transfer_keep_alive({ dest: id(shared), value: 500n * OPG }), members[2]);
	const first = await approve(members[0]);
	check((await status(shared)) === undefined, "one of three is enough for the multisig");
	const second = await approve(members[1], { height: first.block.number, index: first.block.index });
	const { result } = event(second, "Multisig", "MultisigExecuted");
	check(result.success, "the multisig's call failed", result);
	const { bonded } = await status(shared);
	check(bonded === 120n * OPG, "the multisig bonded something else", bonded);
	return bonded;
}

const parts = { mortality, metadataHash, batch, proxy, multisig };
const done = await Promise.all(Object.values(parts).map((part) => part().catch(fail)));
client.destroy();
finish(Object.fromEntries(Object.keys(parts).map((part, index) => [part, done[index]])));
