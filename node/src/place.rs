//! Where a chain's files lie on this machine.

use clap::Args;
use sc_cli::{KeystoreParams, SharedParams, SubstrateCli};
use sc_service::{config::KeystoreConfig, BasePath, ChainSpec, KeystoreContainer};
use sp_keystore::KeystorePtr;
use std::{fs, os::unix::fs::DirBuilderExt, path::PathBuf};

/// Which chain, and where its files are: as when the node is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
	#[clap(flatten)]
	pub(crate) shared: SharedParams,

	#[clap(flatten)]
	pub(crate) keystore: KeystoreParams,
}

/// A [`Place`], looked up.
pub(crate) struct Files {
	/// The chain.
	pub(crate) spec: Box<dyn ChainSpec>,
	/// The chain's folder: database, keystore, network identity.
	pub(crate) chain: PathBuf,
	/// The keystore's folder.
	pub(crate) keystore: PathBuf,
	config: KeystoreConfig,
}

impl Place {
	/// Looks up the chain and its folders. Makes nothing.
	pub(crate) fn find<C: SubstrateCli>(&self, cli: &C) -> sc_cli::Result<Files> {
		if self.shared.is_dev() && self.shared.base_path.is_none() {
			return Err(
				"With --dev the node keeps its files in a folder that goes when it stops. Say --base-path and the \
			            folder that you start it with."
					.into(),
			);
		}
		let base = self.shared.base_path()?.unwrap_or_else(|| BasePath::from_project("", "", &C::executable_name()));
		let spec = cli.load_spec(&self.shared.chain_id(self.shared.is_dev()))?;
		let chain = base.config_dir(spec.id());
		let config = self.keystore.keystore_config(&chain)?;
		let keystore = match &config {
			KeystoreConfig::Path { path, .. } => path.clone(),
			KeystoreConfig::InMemory => return Err("There is no keystore on the disk.".into()),
		};
		Ok(Files { spec, chain, keystore, config })
	}
}

impl Files {
	/// The folder of the database.
	pub(crate) fn database(&self) -> PathBuf {
		self.chain.join("paritydb").join("full")
	}

	/// The file with the secret of the node's network identity.
	pub(crate) fn network_key(&self) -> PathBuf {
		self.chain.join("network").join("secret_ed25519")
	}

	/// Whether secrets of the keystore are protected by a password.
	pub(crate) fn has_password(&self) -> bool {
		matches!(&self.config, KeystoreConfig::Path { password: Some(_), .. })
	}

	/// Opens the keystore. Its folder is made if it is not there, for its owner only.
	pub(crate) fn open_keystore(&self) -> sc_cli::Result<KeystorePtr> {
		let mut folder = fs::DirBuilder::new();
		folder
			.recursive(true)
			.mode(0o700)
			.create(&self.keystore)
			.map_err(|error| format!("The keystore {} cannot be made: {error}", self.keystore.display()))?;
		Ok(KeystoreContainer::new(&self.config)?.keystore())
	}
}
