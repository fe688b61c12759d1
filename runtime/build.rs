//! Compiles the runtime to Wasm, too.

fn main() {
	#[cfg(feature = "std")]
	{
		let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults();
		// The hash of the metadata lets a wallet prove to its user that it shows what it signs. Debug builds go without: it costs a
		// second link.
		#[cfg(not(debug_assertions))]
		let builder = builder.enable_metadata_hash("OPG", 18);
		builder.build();
	}
}
