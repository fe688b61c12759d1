//! Encrypted accounts, and what would be signed before it is.

use assay_cli::{account::balances, amount::OPG, chain::Chain};
use assay_tests::{account, check_invariants, pass_blocks, Folder, Node, NodeOptions};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, str::FromStr};
use subxt::{ext::scale_decode::DecodeAsType, utils::AccountId32};

const PASSWORD: &str = "correct horse battery staple";

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct FeePaid {
	actual_fee: u128,
}

/// The only transaction fee that was paid in a block.
async fn fee_in(chain: &Chain, block: u64) -> anyhow::Result<u128> {
	let events = chain.at_number(block).await?.events().fetch().await?;
	let mut fees = Vec::new();
	for event in events.iter() {
		let event = event?;
		if event.event_name() == "TransactionFeePaid" {
			fees.push(event.decode_fields_unchecked_as::<FeePaid>()?.actual_fee);
		}
	}
	anyhow::ensure!(fees.len() == 1, "{fees:?}");
	Ok(fees[0])
}

fn planck(value: &Value) -> u128 {
	value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no amount in planck"))
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_account_should_pay_what_the_dry_run_said() -> anyhow::Result<()> {
	let node = Node::start("accounts", NodeOptions::default());
	let chain = node.chain().await?;
	let cli = node.cli();
	let folder = Folder::new("accounts-keys");
	let file = |name: &str, text: &str| {
		let path = folder.path().join(name);
		fs::write(&path, text).unwrap();
		fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
		path.display().to_string()
	};
	let keystore = folder.path().join("keystore").display().to_string();
	let (right, wrong) = (file("right", &format!("{PASSWORD}\n")), file("wrong", "guess"));
	let with = |arguments: &[&str], password: &str| {
		let all = [arguments, &["--keystore", &keystore, "--password-file", password]].concat();
		all.into_iter().map(str::to_owned).collect::<Vec<_>>()
	};
	let run = |arguments: &[&str], password: &str| {
		let arguments = with(arguments, password);
		cli.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
	};

	// Made once, kept from others, never overwritten, and no secret in what is said.
	let made = run(&["account", "new", "savings"], &right)?;
	assert_eq!(made.code, 0, "{}", made.stderr);
	let savings = AccountId32::from_str(made.json["account"].as_str().unwrap_or_default())?;
	let path = made.json["file"].as_str().unwrap_or_default();
	assert_eq!(fs::metadata(path)?.permissions().mode() & 0o777, 0o600);
	let kept = fs::read_to_string(path)?;
	assert_eq!(run(&["account", "new", "savings"], &right)?.code, 1);
	assert_eq!(fs::read_to_string(path)?, kept);
	let listed = run(&["account", "list"], &right)?.json;
	assert_eq!(listed["accounts"][0]["account"], savings.to_string());
	assert!(!format!("{}{}{listed}{kept}", made.stderr, made.json).contains(PASSWORD));

	// A dry run moves nothing. It needs a block to try on.
	pass_blocks(&chain, 1).await?;
	let bob = account("//Bob");
	let before = balances(&chain, &bob).await?;
	let transfer = ["send", "savings", "5", "--account", "//Bob"];
	let told = run(&[&transfer[..], &["--dry-run"]].concat(), &right)?;
	assert_eq!((told.code, &told.json["accepted"]), (0, &true.into()), "{}", told.stderr);
	let after = balances(&chain, &bob).await?;
	assert_eq!((after.free, after.nonce), (before.free, before.nonce));
	// An address has no secret, so only the chain's word on what would come of it is missing.
	let address = bob.to_string();
	let stranger = run(&["send", "savings", "5", "--account", &address, "--dry-run"], &right)?.json;
	assert!(stranger["accepted"].is_null());
	// The fee falls a little with every block that is not full.
	let alike = |one: u128, other: u128| one.abs_diff(other) * 50 <= one;
	assert!(alike(planck(&stranger["fee"]), planck(&told.json["fee"])), "{stranger}");
	assert_eq!(stranger["length"], told.json["length"]);

	// And says the truth.
	let sent = run(&transfer, &right)?;
	assert_eq!(sent.code, 0, "{}", sent.stderr);
	let paid = fee_in(&chain, sent.json["block"].as_u64().unwrap_or_default()).await?;
	assert!(alike(paid, planck(&told.json["fee"])), "{paid}, {}", told.json);
	assert_eq!(balances(&chain, &savings).await?.free, 5 * OPG);

	let spend = |amount: &'static str| ["send", "//Eve", amount, "--account", "savings"];
	let refused = run(&spend("1"), &wrong)?;
	assert!(refused.code == 1 && refused.json["error"].as_str().unwrap_or_default().contains("the password is wrong"));
	let spent = run(&spend("1"), &right)?;
	assert_eq!(spent.code, 0, "{}", spent.stderr);
	let fee = fee_in(&chain, spent.json["block"].as_u64().unwrap_or_default()).await?;
	assert_eq!(balances(&chain, &savings).await?.free, 4 * OPG - fee);

	// What would fail is said without paying for it.
	let too_much = run(&[&spend("1000")[..], &["--dry-run"]].concat(), &right)?;
	assert_eq!((too_much.code, &too_much.json["accepted"]), (1, &false.into()), "{}", too_much.json);
	assert_eq!(too_much.json["name"], "Token.FundsUnavailable", "{}", too_much.json);
	assert_eq!(balances(&chain, &savings).await?.free, 4 * OPG - fee);

	// Others could read the password: it is not used.
	fs::set_permissions(&right, fs::Permissions::from_mode(0o644))?;
	let open = run(&spend("1"), &right)?;
	assert!(open.json["error"].as_str().unwrap_or_default().contains("chmod 600"), "{}", open.json);
	check_invariants(&chain).await
}
