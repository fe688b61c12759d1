//! What is signed and hashed in a dispute. Clients compute the same.

use assay_primitives::ClaimHash;
use codec::Encode;
use sp_core::H256;
use sp_io::hashing::blake2_256;

/// The hash that seals a challenge. It tells neither claim nor challenger, and nobody else can reveal it.
pub fn seal_hash<AccountId: Encode>(claim: &ClaimHash, challenger: &AccountId, salt: &[u8; 32]) -> H256 {
	H256(assay_semantics::hash(b"assay/seal/v1", &[&claim.0, &challenger.encode(), salt]))
}

/// What a service key signs to publish a trace.
pub fn publish_payload(claim: &ClaimHash, publication: &[u8]) -> H256 {
	H256(assay_semantics::hash(b"assay/publish/v1", &[&claim.0, &blake2_256(publication)]))
}

/// What a service key signs to answer a demand with what only it can know.
pub fn open_payload(claim: &ClaimHash, demand: &[u8], opening: &[u8]) -> H256 {
	H256(assay_semantics::hash(b"assay/open/v1", &[&claim.0, &blake2_256(demand), &blake2_256(opening)]))
}

/// The name of a node of a trace: the hash of the demand for it.
pub fn node_id(demand: &[u8]) -> H256 {
	H256(blake2_256(demand))
}
