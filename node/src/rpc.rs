//! The RPC methods beside those that every Substrate node has.

use crate::{
	sealing,
	service::{FullBackend, FullClient, FullPool},
};
use assay_runtime::{opaque::Block, BlockNumber, Hash};
use futures::channel::mpsc;
use jsonrpsee::RpcModule;
use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
use sc_consensus_grandpa::{FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState};
use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
use sc_consensus_manual_seal::EngineCommand;
use sp_core::traits::SpawnNamed;
use std::sync::Arc;
use substrate_frame_rpc_system::{System, SystemApiServer};

/// What the GRANDPA methods need.
pub(crate) struct GrandpaDeps {
	/// Who votes.
	pub(crate) authority_set: SharedAuthoritySet<Hash, BlockNumber>,
	/// How the votes stand.
	pub(crate) voter_state: SharedVoterState,
	/// The justifications as they come.
	pub(crate) justifications: GrandpaJustificationStream<Block>,
	/// What proves that a block is final.
	pub(crate) finality_proofs: Arc<FinalityProofProvider<FullBackend, Block>>,
}

/// Puts the methods together: the next nonce of an account and a dry run (`system_*`), fees (`payment_*`), and finality
/// (`grandpa_*`); with `--sealing manual`, blocks on demand (`engine_*`).
pub(crate) fn create(
	client: Arc<FullClient>,
	pool: Arc<FullPool>,
	grandpa: &GrandpaDeps,
	manual: Option<mpsc::Sender<EngineCommand<Hash>>>,
	subscriptions: Arc<dyn SpawnNamed>,
) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>> {
	let mut module = RpcModule::new(());
	module.merge(System::new(client.clone(), pool).into_rpc())?;
	module.merge(TransactionPayment::new(client).into_rpc())?;
	if let Some(commands) = manual {
		module.merge(sealing::rpc(commands)?)?;
	}
	module.merge(
		Grandpa::new(
			subscriptions,
			grandpa.authority_set.clone(),
			grandpa.voter_state.clone(),
			grandpa.justifications.clone(),
			grandpa.finality_proofs.clone(),
		)
		.into_rpc(),
	)?;
	Ok(module)
}
