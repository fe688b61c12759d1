//! What a newcomer does first: ask the sample model to read a digit, and see who was paid what.

use assay_cli::{
	chain::{At, Chain},
	types::AccountInfo,
};
use assay_tests::{account, check_invariants, digit_images, Node, NodeOptions};
use serde_json::Value;
use subxt::{ext::scale_decode::DecodeAsType, utils::AccountId32};

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct FeePaid {
	who: AccountId32,
	actual_fee: u128,
}

/// Everything that an account has, free and on hold.
async fn worth(chain: &Chain, at: &At, who: &AccountId32) -> anyhow::Result<u128> {
	let info: Option<AccountInfo> = chain.storage(at, "System", "Account", (who.0,)).await?;
	let info = info.unwrap_or_default();
	Ok(info.data.free + info.data.reserved)
}

async fn issuance(chain: &Chain, at: &At) -> anyhow::Result<u128> {
	Ok(chain.storage(at, "Balances", "TotalIssuance", ()).await?.unwrap_or_default())
}

/// The transaction fee that `who` paid in a block.
async fn transaction_fee(at: &At, who: &AccountId32) -> anyhow::Result<u128> {
	let events = at.events().fetch().await?;
	let mut sum = 0;
	for event in events.iter() {
		let event = event?;
		if event.event_name() == "TransactionFeePaid" {
			let paid: FeePaid = event.decode_fields_unchecked_as()?;
			if paid.who == *who {
				sum += paid.actual_fee;
			}
		}
	}
	Ok(sum)
}

fn planck(value: &Value) -> u128 {
	value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no amount in planck"))
}

/// The account on which the fees of transactions wait for the validators.
fn fee_pot() -> AccountId32 {
	AccountId32(assay_runtime::consensus::FeePot::get().into())
}

/// The account of the treasury, made from its pallet id.
fn treasury() -> AccountId32 {
	let mut bytes = [0; 32];
	bytes[..12].copy_from_slice(b"modlassay/ty");
	AccountId32(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_should_read_a_digit_and_pay_everyone_to_the_planck() -> anyhow::Result<()> {
	let node = Node::start("tour", NodeOptions::default());
	let chain = node.chain().await?;
	let cli = node.cli();
	let (bob, charlie, dave) = (account("//Bob"), account("//Charlie"), account("//Dave"));

	let models = cli.succeed(&["models", "list"])?;
	assert_eq!(models["models"][0]["name"], "digits");
	let (image, label) = digit_images().swap_remove(7);
	let image = image.to_str().expect("a path in UTF-8");
	let told = cli.succeed(&["infer", "digits", image, "--account", "//Bob", "--coverage", "2.5"])?;

	// The answer.
	assert_eq!(told["state"], "settled", "{told:#}");
	assert_eq!(told["output"]["class"], label, "{told:#}");
	assert_eq!(told["worker"], charlie.to_string());

	// The money: the parts are the whole.
	let (fee, shares) = (planck(&told["fee"]), &told["shares"]);
	let share = |name: &str| planck(&shares[name]);
	assert_eq!(share("burned") + share("treasury") + share("royalty") + share("worker"), fee, "{told:#}");
	assert!(fee > 0 && fee <= planck(&told["max_fee"]), "{told:#}");

	// Everybody's account agrees, from the block before the request to that of the settlement.
	let number = |key: &str| told[key].as_u64().unwrap_or_else(|| panic!("no {key} in {told:#}"));
	let before = chain.at_number(number("submitted_in") - 1).await?;
	let after = chain.at_number(number("settled_in")).await?;
	let in_block = chain.at_number(number("submitted_in")).await?;
	let transaction = transaction_fee(&in_block, &bob).await?;
	let outputs = told["output"]["raw"].as_str().map_or(0, |raw| raw.len() / 2 - 1);
	let charge: u128 = chain.view(&in_block, "Inference", "charge_for", (u32::try_from(outputs)?,)).await?;
	assert!(transaction > 0 && charge > 0);

	let gone = worth(&chain, &before, &bob).await? - worth(&chain, &after, &bob).await?;
	assert_eq!(gone, fee + transaction + charge, "Bob paid more or less than fee, transaction fee and charge");
	for (who, name) in [(&charlie, "worker"), (&dave, "royalty"), (&treasury(), "treasury")] {
		let came = worth(&chain, &after, who).await? - worth(&chain, &before, who).await?;
		assert_eq!(came, share(name), "{name}");
	}
	let burned = issuance(&chain, &before).await? - issuance(&chain, &after).await?;
	// The transaction's fee waits for the validators, or is burned if an account cannot hold so little.
	let waiting = worth(&chain, &after, &fee_pot()).await? - worth(&chain, &before, &fee_pot()).await?;
	assert!([0, transaction].contains(&waiting), "{waiting} of {transaction} waits");
	assert_eq!(burned + waiting, share("burned") + transaction + charge);

	// Nothing stays on hold, and the result can be read by number.
	let bobs = cli.succeed(&["account", "//Bob"])?;
	assert_eq!((&bobs["held"], bobs["holds"].as_array().map(Vec::len)), (&Value::from("0"), Some(0)));
	let job = told["job"].to_string();
	let looked = cli.succeed(&["job", &job])?;
	assert_eq!((&looked["state"], &looked["output"]["class"]), (&Value::from("settled"), &Value::from(label)));
	assert_eq!(looked["output_root"], told["output_root"]);
	let worker = cli.succeed(&["worker", "status", "//Charlie"])?;
	assert_eq!((&worker["covered"], &worker["open_claims"]), (&Value::from("0"), &Value::from(0)));

	println!(
		"answered {} blocks and settled {} blocks after the request",
		number("committed_in") - number("submitted_in"),
		number("settled_in") - number("submitted_in")
	);
	check_invariants(&chain).await
}
